"""Reads the streams of one partition under one tenure of its lease."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from marketdata.catalog import NO_REVISION
from marketdata.entries import EntryId
from marketdata.groups.backlog import NEW, Backlog, Raw
from marketdata.groups.begun import Begun
from marketdata.groups.directory import Directory
from marketdata.groups.messages import Lost, after, before
from marketdata.groups.streams import READER, claim, join, standings
from marketdata.groups.wire import Fence, ForgottenError, pack
from marketdata.keys import Keys

COUNT: Final = (4, 1_000)
"""Entries that are asked for of each stream at once, at least and at most."""

_START: Final = "0-0"


class PartitionReading:
    """What is due in one partition. The client's errors go through; `read` can be called again after them.

    Args:
        fence: of this tenure.
        partition: which one.
        begun: calls for entries that came again.
        handled: the last id that the group handled; None: not known.
        held_at_most: says how many entries may be in memory, about.
        retake: called when Redis forgot the lease: takes it again, or raises LeaseLostError.

    Attributes:
        backlog: what was read.
        lost: what went away unread and was not told yet.
        handled: the last id that was handled, None if that is not known.
    """

    def __init__(
        self,
        *,
        fence: Fence,
        keys: Keys,
        group: str,
        partition: int,
        directory: Directory,
        begun: Begun,
        handled: EntryId | None,
        held_at_most: Callable[[], int],
        retake: Callable[[], Awaitable[None]],
        log: Callable[[str], None],
    ) -> None:
        self.backlog = Backlog()
        self.lost: list[Lost] = []
        self.handled = handled
        self.gone: dict[str, EntryId] = {}
        """By stream key: up to where it was told that entries went away."""
        self._fence = fence
        self._keys = keys
        self._group = group
        self._partition = partition
        self._directory = directory
        self._begun = begun
        self._held_at_most = held_at_most
        self._retake = retake
        self._log = log
        self._clock = keys.clock(partition)
        self._known = {self._clock}
        self._missing = {self._clock}
        self._seen_missing: set[str] = set()
        self._done: dict[str, EntryId] = {}
        self._look = True
        """Whether some of what is missing may be there."""
        self._all_new: tuple[int, int, bytes] = (0, 0, b"")

    @property
    def has_markets(self) -> bool:
        """Whether a market's stream is read."""
        return any(key != self._clock for key in self.backlog.keys)

    @property
    def condition_ids(self) -> Mapping[str, str]:
        """By stream key."""
        return self._directory.streams(self._partition)

    def done(self, raws: Iterable[Raw]) -> None:
        """These were handled, and Redis knows: if they come again, they are not handled again."""
        for raw in raws:
            self._done[raw.key] = self.handled = raw.id

    async def read(self) -> bool:
        """One read of all streams of which nothing is at hand; false where there was nothing to read.

        Raises:
            LeaseLostError: another member reads the partition now.
        """
        self._learn()
        try:
            if self._look or not self.backlog.keys:
                await self._look_at_missing()
            asked = self.backlog.wanted()
            if not asked:
                # Nobody else would notice that the lease is not ours any more.
                await self._fence.confirm()
                return False
            count = min(max(self._held_at_most() // len(asked), COUNT[0]), COUNT[1])
            replies, answers = await self._fence.transact([self._command(asked, count)], self._questions())
        except ForgottenError:
            # With the lease Redis forgot the streams: those that are there by now are new.
            self.handled = None
            self._done.clear()
            self._start_again()
            await self._retake()
            return True
        except BaseException:
            # Whatever the lost reply held is pending now.
            self._start_again()
            raise
        (found,) = replies
        if isinstance(found, Exception):
            if not str(found).startswith("NOGROUP"):
                self._start_again()
                raise found
            self._log(f"group {self._group} is gone from streams of partition {self._partition}; made again")
            self._start_again()
            return True
        rows = {key: self._raws(key, rows, asked) for key, rows in _by_key(found)}
        self.backlog.take(asked, rows, count, hold=await self._something_appeared(answers))
        return bool(rows) or self.backlog.more

    def _learn(self) -> bool:
        streams = self._directory.streams(self._partition)
        if len(streams) < len(self._known):
            # The clock is known besides.
            return False
        fresh = streams.keys() - self._known
        self._known |= fresh
        self._missing |= fresh
        self._look = True
        return bool(fresh)

    def _start_again(self) -> None:
        self.backlog = Backlog()
        self._missing = set(self._known)
        self._look = True
        self._begun.is_known = False

    def _command(self, asked: Mapping[str, str], count: int) -> bytes:
        # Mostly nothing is at hand of any stream, and the same bytes are sent again.
        all_new = len(asked) == len(self._known) - len(self._missing) and NEW * len(asked) == "".join(
            asked.values()
        )
        if all_new and self._all_new[:2] == (len(asked), count):
            return self._all_new[2]
        packed = pack(
            ("XREADGROUP", "GROUP", self._group, READER, "COUNT", count, "STREAMS", *asked, *asked.values())
        )
        if all_new:
            self._all_new = len(asked), count, packed
        return packed

    def _questions(self) -> list[bytes]:
        """Asked right after the read: if nothing appeared by then, nothing was missed."""
        asked = [pack(("XREVRANGE", self._keys.catalog_log, "+", "-", "COUNT", 1))]
        if self._missing:
            asked.append(pack(("EXISTS", *self._missing)))
        return asked

    async def _something_appeared(self, answers: Sequence[Any]) -> bool:
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        revision = answers[0][0][0].decode() if answers[0] else NO_REVISION
        self._look = len(answers) > 1 and answers[1] > 0
        if revision != self._directory.revision:
            await self._directory.follow(revision)
        return self._learn() or self._look

    async def _look_at_missing(self) -> None:
        found = await standings(self._fence, sorted(self._missing), self._group)
        there = {key: standing for key, standing in found.items() if standing.exists}
        for key in found.keys() - there.keys():
            self._seen_missing.add(key)
            self._done.pop(key, None)
        await join(
            self._fence,
            {key: self._start_of(key) for key, standing in there.items() if not standing.joined},
            self._group,
        )
        pending = [key for key, standing in there.items() if standing.pending]
        for key, ids in (await claim(self._fence, pending, self._group)).items():
            if key != self._clock:
                self._note_lost(key, min(ids), max(ids))
        if not self._begun.is_known:
            await self._begun.look(self._fence)
        for key, standing in there.items():
            self.backlog.add(key, pending=bool(standing.pending))
            if standing.may_have_lost and key != self._clock:
                last = before(standing.first) if standing.first is not None else standing.last
                self._note_lost(key, after(standing.delivered), last)
        self._missing -= there.keys()
        self._seen_missing -= there.keys()
        self._all_new = (0, 0, b"")
        self._look = False

    def _start_of(self, key: str) -> str:
        """Behind which id the group begins with a stream that it is not on.

        At the beginning of a stream that appeared. One that was there before has lost its group, and ends for us
        at what was handled; unless it may have appeared unseen, because the catalog does not list its market.
        """
        listed = key == self._clock or self._directory.market(self.condition_ids.get(key, "")) is not None
        if key in self._seen_missing or self.handled is None or not listed:
            return str(self._done.get(key, _START))
        return str(self.handled)

    def _note_lost(self, key: str, first: EntryId, last: EntryId) -> None:
        self.gone[key] = last
        market = self._directory.market(self.condition_ids.get(key, ""))
        lost = Lost(key, self._partition, market, first, last)
        if lost not in self.lost:
            self.lost.append(lost)

    def _raws(self, key: str, rows: Sequence[Any], asked: Mapping[str, str]) -> list[Raw]:
        again = asked[key] != NEW
        raws = []
        for entry_id, fields in rows:
            # Redis wrote the id, so nothing needs to be checked.
            ms, _, n = entry_id.partition(b"-")
            raws.append(Raw(EntryId(int(ms), int(n)), key, fields, again))
        done = self._done.get(key)
        if done is not None and raws and raws[0].id <= done:
            # Redis lost what it was told. They stay in their places: how many came tells whether more will.
            raws = [raw if raw.id > done else raw._replace(fields=()) for raw in raws]
        return raws


def _by_key(found: Any) -> Iterable[tuple[str, Sequence[Any]]]:
    return ((key.decode(), rows) for key, rows in found or ())
