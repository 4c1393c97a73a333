"""From a basket and its figures to the opportunity that is told. Pure."""

from __future__ import annotations

from dataclasses import replace

from consumers.arbitrage.evaluate import Live
from consumers.arbitrage.opportunity import Action, Figures, Opportunity, Reason


def opportunity_of(
    action: Action,
    live: Live,
    figures: Figures,
    *,
    now_ms: int,
    clock_ms: int,
    catalog: str,
    reason: Reason = "",
) -> Opportunity:
    """What is told of an open basket.

    Args:
        figures: to tell; at a close those told last.
        now_ms, clock_ms: of the entry that caused it, and of the last clock entry.
        catalog: the revision in force.
        reason: of a close.
    """
    basket, opening = live.basket, live.opening
    assert opening is not None, "what is told is open, or was until now"
    told = Opportunity(
        action=action,
        basket_id=basket.basket_id,
        kind=basket.kind,
        group=basket.group,
        events=basket.events,
        payout=basket.payout,
        ties=basket.ties,
        size_micros=figures.size,
        cost_micros=figures.cost,
        fees_micros=figures.fees,
        net_micros=figures.net,
        bps_hundredths=figures.bps_hundredths,
        legs=tuple(leg.told(now_ms, clock_ms) for leg in live.legs),
        catalog=catalog,
        opened="" if action == "open" else opening.opened,
    )
    if action != "close":
        return told
    doubts = [leg.doubted_ms for leg in live.legs if leg.doubted_ms is not None]
    return replace(
        told,
        reason=reason,
        duration_ms=now_ms - opening.since_ms,
        best_net_micros=opening.best_net,
        best_bps_hundredths=opening.best_bps_hundredths,
        doubted_since_ms=min((since_ms for since_ms in doubts if since_ms < opening.told_ms), default=None),
    )
