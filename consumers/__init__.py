"""Redis Streams to people and programs: tail, verify, dashboard.

Imports marketdata and nothing else of ours.
"""
