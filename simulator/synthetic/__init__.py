"""A venue that never sleeps: a world of markets with known fair values, and an exchange that trades them.

`world` says what exists and what it is worth, `exchange` and what stands beside it make books and messages of
that. Imports only marketdata and the simulator's own seam.
"""
