"""Faults on demand: how a venue misbehaves, to whom and for how long. A conduct for simulator/venue/; the feed and
its truth know nothing of it. A fault is data (fault.py), what it does is a behaviour (one file a family)."""
