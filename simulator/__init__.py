"""A stand-in venue: the market channel and the REST calls a worker uses, fed from captured traffic.

Imports marketdata and nothing else of ours.
"""
