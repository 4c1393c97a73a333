"""`bookstream replay`: a range of what was recorded, in the total order, as JSON lines or into other streams.

Reads with XRANGE or as a member of a consumer group; used by `bookstream.commands.replay` alone.
"""
