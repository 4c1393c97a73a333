"""What connections have to say besides updates: to whom it goes, and what of it people are told."""

from __future__ import annotations

from typing import Any

from marketdata.logs import get_logger
from worker.connection import Connection
from worker.followups import FollowUps
from worker.market_keeper import MarketKeeper
from worker.moves import Moves
from worker.notices import Ended, Event, Move, Notice, Quarantined, Witness
from worker.quarantine import Quarantine
from worker.recent import Recent
from worker.shapes import NewMarket
from worker.witness import Witnesses


class Hearing:
    """Hands each notice to the part that acts on it."""

    def __init__(
        self,
        *,
        quarantine: Quarantine,
        witnesses: Witnesses,
        moves: Moves,
        keeper: MarketKeeper,
        followups: FollowUps,
        recent: Recent,
    ) -> None:
        self._quarantine = quarantine
        self._witnesses = witnesses
        self._moves = moves
        self._keeper = keeper
        self._followups = followups
        self._recent = recent
        self._happened: dict[str, list[Any]] = {}
        """What tokens went through since it was last told: how often, and one of them."""
        self._log = get_logger("worker")

    def hear(self, connection: Connection, notice: Notice) -> None:
        """Never waits: quotes come through the same call."""
        match notice:
            case Quarantined(frame, reason):
                self._quarantine.add(frame, reason, connection.name)
                self._recent.add("error", f"{connection.name} got a frame that could not be used: {reason}")
            case Witness():
                self._witnesses.ask(connection, notice)
            case Move(condition_id, token):
                self._moves.rescue(connection, condition_id, token)
            case Event(what, condition_id, outcome, text):
                named = f"{text} ({self._named(condition_id, outcome)}, {connection.name})"
                self._recent.add(what, named)
                self._happened.setdefault(text, [0, named])[0] += 1
            case NewMarket(market):
                self._keeper.heard_of(market)
            case Ended(condition_id, winner):
                self._followups.start(self._keeper.resolved(condition_id, winner))

    def tell(self) -> None:
        """One line for each thing that happened to tokens since the last time, however many of them."""
        happened, self._happened = self._happened, {}
        for text, (count, one) in happened.items():
            if count == 1:
                self._log.warning(one)
            else:
                self._log.warning(f"{text}: {count} tokens", one=one)

    def _named(self, condition_id: str, outcome: int | None) -> str:
        market = self._keeper.known.get(condition_id)
        if market is None:
            return condition_id
        return market.question if outcome is None else f"{market.question}: {market.outcomes[outcome]}"
