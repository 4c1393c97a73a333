"""A stand-in venue: the market channel and the REST calls a worker uses, fed from captured traffic.

venue/ is the face (socket and REST), captured/ one thing that can play behind it, feed.py the seam between.
Imports marketdata and nothing else of ours.
"""
