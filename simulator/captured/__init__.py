"""Recorded traffic as a feed: reading files, what the books are as they play, invented market records."""
