"""The shared words: venue shapes and hash, families, entries, keys, catalog, Redis, leases.

Imports none of the other packages.
"""
