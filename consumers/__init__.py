"""Redis Streams to people and programs: tail, verify, replay, dashboard.

Imports marketdata and nothing else of ours.
"""
