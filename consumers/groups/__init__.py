"""`bookstream groups`: who reads the streams, how far behind, and what was given up on.

Used by `bookstream.commands.groups`; the dashboard counts lag by it.
"""
