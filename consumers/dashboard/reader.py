"""Looks at Redis four times a second, with few commands: most of the time one, that says that nothing is new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from redis.asyncio import Redis

from consumers.dashboard.catalog_reader import CatalogReader
from consumers.dashboard.found import Found
from consumers.dashboard.found_reader import FoundReader
from consumers.dashboard.group_reader import GroupReader
from consumers.dashboard.markets import MarketLine
from consumers.dashboard.members import GroupLine
from consumers.dashboard.reading import EngineWord, Page, Reading, Server, Wish
from consumers.dashboard.records import WorkerRecord, parse_record
from consumers.dashboard.server import server_facts
from consumers.dashboard.stream_reader import StreamReader
from consumers.streams import check_version
from marketdata.entries import EntryId
from marketdata.keys import Keys
from marketdata.partitions import DEFAULT_PARTITIONS, MAX_PARTITIONS

LOOK_EVERY_S: Final = 0.25
"""How often `look` is worth calling: a worker that fell silent is to be seen within two seconds."""

STREAMS_EVERY_MS: Final = 500
SLOW_EVERY_MS: Final = 1_000
SERVER_EVERY_MS: Final = 2_000
RECORDS_AT_LEAST_EVERY_MS: Final = 2_000

_CLOCKS: Final = 20
Entries = Sequence[tuple[bytes, object]]


class DashboardReader:
    """Turns what is in Redis into readings; remembers where it was.

    Attributes:
        answered_ms: when Redis last answered anything.

    Args:
        client, keys: where to read.
        clock: Unix milliseconds.
    """

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], int]) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._catalog = CatalogReader(client, keys, clock)
        self._streams = StreamReader(client, keys)
        self._found = FoundReader(client, keys)
        self._groups = GroupReader(client, keys)
        self._heard: dict[bytes, float] = {}
        self._clock_positions: dict[bytes, bytes] = {}
        self._clocks: dict[int, int] = {}
        self._partitions: int | None = None
        self._server: Server | None = None
        self._run_id = ""
        self._checked = False
        self._streams_ms = self._slow_ms = self._server_ms = self._records_ms = 0
        self._before = Wish()
        self.answered_ms = clock()

    @property
    def markets(self) -> Mapping[str, MarketLine]:
        """The catalog by condition id, as of the last look."""
        return self._catalog.markets

    async def look(self, wish: Wish) -> Reading:
        """What is new.

        Raises:
            redis.RedisError: Redis did not answer, or not as it should; the next look goes on from here.
            ContractError: this Redis holds streams of another contract.
        """
        now_ms = self._clock()
        if not self._checked:
            await check_version(self._client, self._keys)
            self._checked = True
        turned = wish != self._before
        self._before = wish
        workers, unreadable = await self._workers()
        self.answered_ms = self._clock()
        slow = self._due("_slow_ms", SLOW_EVERY_MS, now_ms)
        if self._due("_server_ms", SERVER_EVERY_MS, now_ms):
            await self._look_at_server()
        if slow:
            await self._look_at_clocks()
            self.answered_ms = self._clock()
            await self._catalog.follow()
            self.answered_ms = self._clock()
        pages: Sequence[Page] = ()
        if self._due("_streams_ms", STREAMS_EVERY_MS, now_ms) or turned:
            pages = await self._streams.read(wish, self.markets)
        found: Sequence[Found] = ()
        found_anew = False
        engine: EngineWord | None = None
        if wish.opportunities and (slow or turned):
            found_anew = self._found.begins
            partitions = self._partitions or DEFAULT_PARTITIONS
            found = await self._found.read(partitions, now_ms)
            engine = await self._found.engine(partitions)
        groups: Sequence[GroupLine] | None = None
        if wish.groups and (slow or turned):
            groups = await self._groups.read(self.markets)
        self.answered_ms = self._clock()
        return Reading(
            at_ms=self.answered_ms,
            workers=workers,
            unreadable=unreadable,
            clocks=dict(self._clocks) if slow else None,
            partitions=self._partitions,
            server=self._server,
            catalog=self._catalog.changes,
            pages=pages,
            found=found,
            found_anew=found_anew,
            engine=engine,
            groups=groups,
        )

    def lack(self, condition_ids: Iterable[str]) -> None:
        """These are not known (any more): the next look begins with them."""
        self._streams.lack(condition_ids)

    def forget(self) -> None:
        """Everything is read anew: Redis was away and may hold something else now."""
        self._heard.clear()
        self._streams.forget()
        self._clock_positions.clear()
        self._streams_ms = self._slow_ms = self._server_ms = 0

    def _due(self, name: str, every_ms: int, now_ms: int) -> bool:
        last_ms: int = getattr(self, name)
        # Half a look early rather than a whole one late.
        if now_ms < last_ms or now_ms - last_ms >= every_ms - 500 * LOOK_EVERY_S:
            setattr(self, name, now_ms)
            return True
        return False

    async def _workers(self) -> tuple[Sequence[WorkerRecord] | None, Sequence[str]]:
        listed = cast(
            Sequence[tuple[bytes, float]],
            await self._client.zrange(self._keys.workers, 0, -1, withscores=True),
        )
        heard = dict(listed)
        now_ms = self._clock()
        # A record expires without a new word.
        if heard and heard == self._heard and now_ms - self._records_ms < RECORDS_AT_LEAST_EVERY_MS:
            return None, ()
        names = [one.decode(errors="replace") for one in heard]
        records = await self._client.mget([self._keys.worker(one) for one in names]) if names else []
        # Only now: had the records not come, they would be missed for a second.
        self._heard, self._records_ms = heard, now_ms
        there = {name: record for name, record in zip(names, records, strict=True) if record is not None}
        parsed = {name: parse_record(record) for name, record in there.items()}
        words = sorted(filter(None, parsed.values()), key=lambda word: (word.started_ms, word.worker))
        return words, [name for name, word in parsed.items() if word is None]

    async def _look_at_server(self) -> None:
        pipe = self._client.pipeline(transaction=False)
        pipe.info()
        pipe.get(self._keys.contract_partitions)
        info, partitions = cast(tuple[Mapping[str, Any], bytes | None], await pipe.execute())
        self._server = server_facts(info)
        number = int(partitions) if partitions is not None and partitions.isdigit() else 0
        self._partitions = number if 0 < number <= MAX_PARTITIONS else None
        if self._run_id not in ("", info.get("run_id")):
            self._streams.forget()
            self._found.forget()
            self._groups.forget()
            self._checked = False
        self._run_id = str(info.get("run_id"))

    async def _look_at_clocks(self) -> None:
        keys = {self._keys.clock(one).encode(): one for one in range(self._partitions or DEFAULT_PARTITIONS)}
        if self._clock_positions.keys() != keys.keys():
            pipe = self._client.pipeline(transaction=False)
            for key in keys:
                pipe.xrevrange(key, count=1)
            ends = dict(zip(keys, cast(Sequence[Entries], await pipe.execute()), strict=True))
            self._clock_positions = {key: entries[0][0] if entries else b"0" for key, entries in ends.items()}
            self._clocks.clear()
        else:
            reply = await self._client.xread(dict(self._clock_positions), count=_CLOCKS)  # type: ignore[arg-type]
            ends = dict(cast(Sequence[tuple[bytes, Entries]], reply or ()))
        for key, entries in ends.items():
            if entries:
                self._clock_positions[key] = entries[-1][0]
                self._clocks[keys[key]] = EntryId.parse(entries[-1][0]).ms
