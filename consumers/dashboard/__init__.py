"""`bookstream dashboard`, and the view of `bookstream up`. Reads nothing but Redis, and writes nothing at all.

`reader` and its helpers read, `state` and `pages` are pure, `app` and `terminal` are the shell. Imports marketdata
and the parts that all consumers share.
"""
