"""The catalog in Redis: one JSON record a market, and a capped log of the ids that changed.

The log's last id is the catalog's revision: equal revisions mean equal markets, apart from the figures (24 h
volume, liquidity), which are kept up to date without a new revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError

from marketdata.errors import BookstreamError, CatalogError, ContractError, PartitionsError
from marketdata.keys import CONTRACT_VERSION, Keys
from marketdata.market import FIGURES, Market

LOG_MAXLEN: Final = 10_000
NO_REVISION: Final = "0-0"
"""The revision of a catalog in which nothing was ever written."""

T = TypeVar("T")

CHUNK: Final = 100
"""Records a step: reading or comparing so many takes one to two milliseconds, in which nothing else runs."""

ATTEMPTS: Final = 12


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A catalog as it was at one moment.

    Attributes:
        revision: id of the newest entry of the log, "0-0" where there is none.
        markets: by condition id.
    """

    revision: str
    markets: dict[str, Market]


class Catalog:
    """Reads and writes the catalog. Several workers may write at once; records are never half written.

    All methods let the client's own errors (`redis.exceptions.RedisError`) through.

    Args:
        redis: the client; with or without `decode_responses`.
        keys: the key names.
        random: for the pauses after a collision with another writer.
    """

    def __init__(self, redis: Redis, keys: Keys, random: Random | None = None) -> None:
        self._redis = redis
        self._keys = keys
        self._random = random or Random()

    async def check_contract(self, partitions: int) -> None:
        """Enters contract version and partition count, or compares them with what is there.

        Raises:
            ContractError: this Redis was set up with another version; nothing was changed.
            PartitionsError: it was set up with another number of partitions; nothing was changed.
        """
        await self._agree(self._keys.contract_version, CONTRACT_VERSION, "contract version", ContractError)
        await self._agree(self._keys.contract_partitions, partitions, "PARTITIONS", PartitionsError)

    async def _agree(self, key: str, ours: int, name: str, refusal: type[BookstreamError]) -> None:
        await self._redis.set(key, ours, nx=True)
        theirs = _text(await self._redis.get(key))
        if theirs != str(ours):
            raise refusal(
                f"this Redis was set up with {name}={theirs[:20]}, this program has {ours}; "
                "nothing was changed: use the same value, another KEY_PREFIX or another server"
            )

    async def snapshot(self) -> Snapshot:
        """All markets and the revision they belong to, read in one step.

        Raises:
            CatalogError: a record cannot be read; the message names the ids.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.execute_command("HGETALL", self._keys.catalog)
            pipe.execute_command("XREVRANGE", self._keys.catalog_log, "+", "-", "COUNT", 1)
            records, newest = await pipe.execute()
        return Snapshot(_revision(newest), _read({_text(key): value for key, value in records.items()}))

    async def load(self) -> dict[str, Market]:
        """All markets by condition id.

        Raises:
            CatalogError: a record cannot be read; the message names the ids.
        """
        return (await self.snapshot()).markets

    async def newer(self, before: Snapshot) -> Snapshot:
        """The catalog as it is now, in small steps: of what was read `before` only what the log names is read anew.

        Figures of records that did not change otherwise stay as they were `before`.

        Raises:
            CatalogError: a record cannot be read; the message names the ids.
        """
        revision, markets = before.revision, dict(before.markets)
        for _ in range(ATTEMPTS):
            rows = await self._log_from(revision)
            if not rows or _text(rows[0][0]) != revision:
                # Never read, or the log does not reach back so far, or Redis lost its data.
                revision = await self.revision()
                if revision == NO_REVISION:
                    break
                markets = await self._read_in_steps()
                continue
            if len(rows) == 1:
                return Snapshot(revision, markets)
            revision = _text(rows[-1][0])
            await self._read_again({_text(_field(row, "id")) for _, row in rows[1:]}, markets)
        return await self.snapshot()

    async def _log_from(self, revision: str) -> list[tuple[Any, Mapping[Any, Any]]]:
        if revision == NO_REVISION:
            return []
        rows: Any = await self._redis.xrange(self._keys.catalog_log, min=revision)
        return list(rows)

    async def _read_in_steps(self) -> dict[str, Market]:
        markets: dict[str, Market] = {}
        cursor: Any = 0
        while True:
            answer: Any = await self._redis.hscan(self._keys.catalog, cursor=cursor, count=CHUNK)
            cursor, records = answer
            markets |= _read({_text(key): value for key, value in records.items()})
            if not int(cursor):
                return markets

    async def _read_again(self, condition_ids: Iterable[str], markets: dict[str, Market]) -> None:
        for ids in _chunks(sorted(condition_ids)):
            found = await self._redis.hmget(self._keys.catalog, list(ids))
            there = {one: record for one, record in zip(ids, found, strict=True) if record is not None}
            markets.update(_read(there))
            for one in ids:
                if one not in there:
                    markets.pop(one, None)

    async def revision(self) -> str:
        """The catalog's revision, "0-0" where nothing was ever written."""
        return _revision(await self._redis.xrevrange(self._keys.catalog_log, count=1))

    async def put(self, markets: Iterable[Market]) -> int:
        """Writes the records that differ from those in the catalog, see `merged`.

        Returns:
            How many records changed by more than their figures: so many entries were logged.

        Raises:
            CatalogError: an existing record cannot be read, or other writers were in the way each time.
        """
        given = list({market.condition_id: market for market in markets}.values())
        changed = 0
        for chunk in _chunks(given):
            ids = [market.condition_id for market in chunk]
            changed += await self._transact(ids, partial(_differences, chunk))
        return changed

    async def drop(self, condition_ids: Iterable[str]) -> int:
        """Forgets markets that are over and whose streams are gone; says how many records there were.

        Raises:
            CatalogError: other writers were in the way each time.
        """
        changed = 0
        for ids in _chunks(sorted(set(condition_ids))):
            changed += await self._transact(
                ids, lambda found: [_Change(one, None, "dropped") for one in found]
            )
        return changed

    async def _transact(
        self, ids: Sequence[str], changes: Callable[[Mapping[str, bytes | str]], list[_Change]]
    ) -> int:
        for attempt in range(ATTEMPTS):
            async with self._redis.pipeline(transaction=True) as pipe:
                try:
                    return await self._attempt(pipe, ids, changes)
                except WatchError:
                    # Waiting after the pipeline is closed gives its connection back meanwhile.
                    pass
            await asyncio.sleep(self._random.uniform(0.5, 1.0) * min(0.01 * 2**attempt, 0.5))
        raise CatalogError(
            f"other writers changed the catalog {ATTEMPTS} times meanwhile; {len(ids)} records not written"
        )

    async def _attempt(
        self,
        pipe: Pipeline,
        ids: Sequence[str],
        changes: Callable[[Mapping[str, bytes | str]], list[_Change]],
    ) -> int:
        await pipe.watch(self._keys.catalog)
        found = await pipe.hmget(self._keys.catalog, list(ids))
        planned = changes({one: record for one, record in zip(ids, found, strict=True) if record is not None})
        logged = [change for change in planned if change.why]
        if not planned:
            return 0
        pipe.multi()  # type: ignore[no-untyped-call]
        for change in planned:
            if change.record is None:
                pipe.execute_command("HDEL", self._keys.catalog, change.condition_id)
            else:
                pipe.execute_command("HSET", self._keys.catalog, change.condition_id, change.record)
        for change in logged:
            pipe.execute_command(
                *("XADD", self._keys.catalog_log, "MAXLEN", "~", LOG_MAXLEN, "*"),
                *("id", change.condition_id, "why", change.why),
            )
        await pipe.execute()
        return len(logged)


@dataclass(frozen=True, slots=True)
class _Change:
    """One record to write (None: to remove) and what the log says of it (empty: nothing)."""

    condition_id: str
    record: bytes | None
    why: str


def merged(old: Market, new: Market) -> Market:
    """What becomes of a record when the venue is read again.

    The partition stays, and a resolution is final: Gamma lags behind the socket, and a file may be old.
    """
    if old.state == "resolved" and new.state != "resolved":
        new = replace(new, state=old.state, winner=old.winner)
    return new if new.partition == old.partition else replace(new, partition=old.partition)


def _differences(given: Sequence[Market], records: Mapping[str, bytes | str]) -> list[_Change]:
    known = _read(records)
    planned = []
    for market in given:
        old = known.get(market.condition_id)
        new = merged(old, market) if old else market
        if new != old:
            planned.append(_Change(new.condition_id, new.to_json(), _why(old, new)))
    return planned


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[at : at + CHUNK] for at in range(0, len(items), CHUNK)]


def _why(old: Market | None, new: Market) -> str:
    if old is None:
        return "new"
    names = (field.name for field in fields(Market) if field.name not in FIGURES)
    return ",".join(name for name in names if getattr(old, name) != getattr(new, name))


def _read(records: Mapping[str, bytes | str]) -> dict[str, Market]:
    markets: dict[str, Market] = {}
    broken: list[str] = []
    for condition_id, record in records.items():
        try:
            market = Market.from_json(record)
        except CatalogError as error:
            broken.append(f"{condition_id} ({error})")
            continue
        if market.condition_id != condition_id:
            broken.append(f"{condition_id} (it describes {market.condition_id[:80]})")
        markets[condition_id] = market
    if broken:
        raise CatalogError(
            f"{len(broken)} of {len(records)} catalog records cannot be read, first {broken[0]}; "
            "nothing was changed: remove them with HDEL, they are written anew"
        )
    return markets


def _revision(newest: Sequence[tuple[bytes | str | None, Any]] | None) -> str:
    return _text(newest[0][0]) if newest else NO_REVISION


def _field(row: Mapping[Any, Any], name: str) -> Any:
    """A field of an entry, with or without `decode_responses`."""
    return row.get(name) or row.get(name.encode())


def _text(value: bytes | str | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
