"""Venue to Redis Streams: connections, books, exactly-once publishing, ownership of partitions.

Imports marketdata and nothing else of ours.
"""
