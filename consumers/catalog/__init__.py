"""`bookstream catalog`: families and events, their legs, and why a market was left out; corrections by a file.

Shares the forming of baskets with `consumers.arbitrage`, so that it shows what the engine will do.
"""
