"""The arbitrage engine: market streams in, opportunities out; imports marketdata alone.

Pure and deterministic: terms, payout, fees, baskets, legs, evaluate, ground, engine, telling, state, opportunity,
summary.
Shells around them: adoption (which catalog holds when), service (the group loop), listing, report, command.
"""
