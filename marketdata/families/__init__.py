"""Which markets belong together by logic, read from their titles; pure, imports only marketdata.

`family_of` is the one way in. `strikes` reads the numbers that a market names, `settlement` what it settles
on and when, `price` puts both together for the "above" ladders and the price ranges.
"""

from marketdata.families.family import Family, FamilyKind, Listing, family_of, sibling_event_slug

__all__ = ["Family", "FamilyKind", "Listing", "family_of", "sibling_event_slug"]
