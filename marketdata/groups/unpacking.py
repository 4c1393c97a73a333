"""From entries as they were read to the items of a batch, of one partition. The hot path of every reader."""

from __future__ import annotations

import time
from collections import abc
from collections.abc import Callable, Iterable
from typing import NamedTuple

from marketdata.entries import EntryId
from marketdata.errors import EntryError
from marketdata.groups.backlog import Raw
from marketdata.groups.batch import Item
from marketdata.groups.dead import DeadLetter
from marketdata.groups.directory import Directory
from marketdata.groups.messages import Lost, Message, Silent, after, before, clock_of, values_of
from marketdata.groups.sequence import Sequence


class Unpacked(NamedTuple):
    """What a batch is made of.

    Attributes:
        items: for the handler.
        raws: entries, each with the place of its item; one without an item is done with the item that follows it.
        dead: what cannot be read, likewise.
    """

    items: list[Item]
    raws: list[tuple[int, Raw]]
    dead: list[tuple[int, DeadLetter]]


class Unpacker:
    """Unpacks, and notices what is missing between entries.

    Args:
        clock_key: the stream of clock entries.
        clocks: whether these are handed on.

    Attributes:
        gone: by stream key: up to where it was told that entries went away.
        heard_s, heard_id: when the last clock entry was read (monotonic seconds), and which; None: none was.
        is_silent: whether it was told that nobody writes; a clock entry ends it.
    """

    def __init__(
        self,
        partition: int,
        *,
        clock_key: str,
        directory: Directory,
        gone: dict[str, EntryId],
        clocks: bool,
        log: Callable[[str], None],
    ) -> None:
        self.gone = gone
        self.heard_s = time.monotonic()
        self.heard_id: EntryId | None = None
        self.is_silent = False
        self._partition = partition
        self._clock_key = clock_key
        self._directory = directory
        self._clocks = clocks
        self._log = log
        self._sequence = Sequence()

    def unpack(self, lost: Iterable[Lost], raws: Iterable[Raw]) -> Unpacked:
        """Items of a batch: first these notices, then the entries in their order."""
        items: list[Item] = [*lost]
        dead: list[tuple[int, DeadLetter]] = []
        places: list[tuple[int, Raw]] = []
        partition, clock_key = self._partition, self._clock_key
        condition_ids, markets = self._directory.streams(partition), self._directory.markets
        follow = self._sequence.follow
        for raw in raws:
            at, key, fields, again = raw
            try:
                if key == clock_key:
                    places.append((len(items), raw))
                    if fields:
                        self._hear(items, at, fields)
                elif fields:
                    values = values_of(fields)
                    missing = follow(key, at, values)
                    market = markets.get(condition_ids.get(key, ""))
                    if missing is not None and not missing < self.gone.get(key, missing) < at:
                        items.append(Lost(key, partition, market, after(missing), before(at)))
                    # Behind its notice: it is done when its own item is.
                    places.append((len(items), raw))
                    items.append(Message(at, key, partition, values, market, again))
                else:
                    places.append((len(items), raw))
                    if fields is None:
                        self._went_away(items, raw)
            except EntryError as error:
                self._log(f"{at} of {key} is a dead letter, it cannot be read: {error}")
                if key != clock_key:
                    places.append((len(items), raw))
                dead.append((len(items), DeadLetter(key, at, f"EntryError: {error}", 0, fields or ())))
        return Unpacked(items, places, dead)

    def unpack_requeued(self, rows: Iterable[tuple[EntryId, list[bytes]]], key: str) -> Unpacked:
        """Likewise of dead letters that are to be handled once more: their ids and fields in the stream `key`."""
        unpacked = Unpacked([], [], [])
        for letter_id, fields in rows:
            letter = DeadLetter.of(fields)
            at = len(unpacked.items)
            unpacked.raws.append((at, Raw(letter_id, key, fields, True)))
            market = self._directory.market(letter.stream.rpartition(":")[2])
            try:
                values = values_of(letter.fields)
            except EntryError as error:
                unpacked.dead.append((at, DeadLetter(letter.stream, letter.id, str(error), 0, letter.fields)))
                continue
            unpacked.items.append(Message(letter.id, letter.stream, self._partition, values, market, True))
        return unpacked

    def _hear(self, items: list[Item], at: EntryId, fields: abc.Sequence[bytes]) -> None:
        clock = clock_of(at, self._clock_key, self._partition, fields)
        self.heard_s, self.heard_id = time.monotonic(), at
        if self.is_silent:
            self.is_silent = False
            items.append(Silent(self._partition, at, over=True))
        if self._clocks:
            items.append(clock)

    def _went_away(self, items: list[Item], raw: Raw) -> None:
        market = self._directory.market(self._directory.streams(self._partition).get(raw.key, ""))
        before_it = items[-1] if items else None
        self.gone[raw.key] = raw.id
        if isinstance(before_it, Lost) and before_it.stream == raw.key:
            items[-1] = before_it._replace(last=raw.id)
        else:
            items.append(Lost(raw.key, self._partition, market, raw.id, raw.id))
