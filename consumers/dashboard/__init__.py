"""The live view of `bookstream up`. Reads nothing but Redis."""
