"""The world: what is listed, what it is worth, what happens to it. Pure; time is handed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from simulator.synthetic.announcements import market_resolved_message, new_market_message
from simulator.synthetic.binary import Game, Question
from simulator.synthetic.edges import Planter
from simulator.synthetic.listing import Edge, Listing, Shown, WorldEvent
from simulator.synthetic.mix import Part, parts
from simulator.synthetic.negrisk import Contest
from simulator.synthetic.priced import PriceFamily
from simulator.synthetic.rollover import UpDown
from simulator.synthetic.stage import Stage
from simulator.synthetic.walks import ASSETS, STEP_MS, Walk
from simulator.synthetic.weights import Bursts, rank_weight

UPDOWN_PERIOD_S: Final = 300
LONGER: Final = 3
"""The longer series of up-downs has periods of so many shorter ones."""

KNOCKOUT_S: Final = 180.0


class SyntheticWorld:
    """A `World` made from a seed.

    Args:
        seed: equal seeds, starts and sizes give equal events, ids and rows.
        start_ms: Unix milliseconds at which it starts.
        markets: how many are open at the start, 4 to 20,000; about as many stay open.
        edges_per_minute: planted edges; 0: the venue is free of arbitrage.
        moves_per_s: how often fair values move, over all groups; hot ones move more often.
        updown_period_s: length of the short up-or-down markets, in seconds.

    Raises:
        ValueError: `markets` or `edges_per_minute` is out of bounds.
    """

    def __init__(
        self,
        seed: int,
        start_ms: int,
        *,
        markets: int = 60,
        edges_per_minute: float = 0.0,
        moves_per_s: float = 10.0,
        updown_period_s: int = UPDOWN_PERIOD_S,
    ) -> None:
        self._stage = Stage(seed, start_ms, moves_per_s)
        self._bursts = Bursts(f"{seed} bursts")
        self._walks = [Walk(asset, self._stage.random(f"walk of {asset.symbol}")) for asset in ASSETS]
        self._updown_period_ms = updown_period_s * 1000
        self._stage.agenda.at(start_ms + STEP_MS, self._step)
        chosen = parts(markets, self._stage.random("mix"))
        weights = [rank_weight(rank) for rank in range(len(chosen))]
        self._stage.weigh(sum(weights))
        families = Counter(part.asset for part in chosen if part.kind == "family")
        for rank, (part, weight) in enumerate(zip(chosen, weights, strict=True)):
            self._enter(rank, part, weight, start_ms, families)
        self._planter = Planter(self._stage, edges_per_minute)

    def listings(self) -> list[Listing]:
        return [market.listing for market in self._stage.open_markets()]

    def advance(self, now_ms: int) -> list[WorldEvent]:
        self._stage.tidy()
        return self._stage.agenda.run(now_ms)

    def next_ms(self) -> int:
        return self._stage.agenda.next_ms()

    def fair_yes_micros(self, condition_id: str) -> int:
        return self._stage.worth(condition_id)

    def activity(self, now_ms: int) -> float:
        return self._bursts.factor(now_ms)

    def events(self, look: Callable[[str], Shown]) -> list[dict[str, Any]]:
        return self._stage.rows(look)

    def new_market(self, condition_id: str, at_ms: int) -> dict[str, Any]:
        return new_market_message(self._stage.record(condition_id), at_ms)

    def market_resolved(self, condition_id: str, at_ms: int) -> dict[str, Any]:
        return market_resolved_message(self._stage.record(condition_id), at_ms)

    def edges(self) -> list[Edge]:
        return self._planter.edges()

    def _step(self, at_ms: int) -> Iterable[WorldEvent]:
        for walk in self._walks:
            walk.step()
        self._stage.agenda.at(at_ms + STEP_MS, self._step)
        return ()

    def _enter(self, rank: int, part: Part, weight: float, now_ms: int, families: Counter[int]) -> None:
        """Puts a group on the stage; whoever asks for the listings of the start gets its markets."""
        stage, key = self._stage, f"{part.kind}:{rank}"
        match part.kind:
            case "family":
                PriceFamily(
                    stage,
                    self._walks[part.asset],
                    weight,
                    now_ms=now_ms,
                    days=part.days,
                    ahead=families[part.asset] - 1,
                ).enter(now_ms)
            case "contest":
                Contest(
                    stage,
                    key,
                    weight,
                    part.markets,
                    knockout_s=KNOCKOUT_S if part.knockouts else None,
                    augmented=part.augmented,
                ).enter(now_ms)
            case "up-down":
                period_ms = self._updown_period_ms * (LONGER if part.long else 1)
                starts_ms = now_ms // period_ms * period_ms
                walk = self._walks[part.asset]
                for start_ms in (starts_ms, starts_ms + period_ms):
                    UpDown(stage, walk, weight / 2, start_ms, period_ms, start_ms - period_ms).enter(now_ms)
            case "question":
                Question(stage, key, weight).enter(now_ms)
            case "game":
                Game(stage, key, weight, now_ms).enter(now_ms)
