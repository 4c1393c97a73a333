"""The check itself: the proof rule over streams, and one counter for the ids of a partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from redis.asyncio import Redis

from consumers.merged import RangeReader, chunk_for, fetch_ranges, merged
from consumers.streams import MarketStream
from consumers.verify.report import Report
from marketdata.entries import EntryId
from marketdata.proof import Hole, ProofChecker


async def verify(
    client: Redis,
    streams: Iterable[MarketStream],
    *,
    first: EntryId | None = None,
    last: EntryId | None = None,
) -> Report:
    """Reads the streams and holds them to the proof rule.

    A market whose stream exists in two partitions, and an id that two streams of a partition share, break the
    contract too.

    Args:
        client: lets its own errors (`redis.RedisError`) through.
        streams: which; those that do not exist count as empty.
        first, last: the range, both included; None: the stream's begin and end.
    """
    report = Report()
    by_partition: dict[int, list[MarketStream]] = defaultdict(list)
    homes: dict[str, MarketStream] = {}
    for stream in sorted(set(streams)):
        by_partition[stream.partition].append(stream)
        home = homes.setdefault(stream.condition_id, stream)
        if home is not stream:
            nowhere = EntryId(0, 0)
            report.add_hole(
                Hole(stream.key, "form", None, nowhere, None, "one stream a market", f"also {home.key}")
            )
    bounds = ("-" if first is None else str(first), "+" if last is None else str(last))
    for partition in sorted(by_partition):
        await _verify_partition(client, by_partition[partition], bounds, report)
    return report


async def _verify_partition(
    client: Redis, streams: list[MarketStream], bounds: tuple[str, str], report: Report
) -> None:
    checkers = {stream.key: ProofChecker(stream.key) for stream in streams}
    before: tuple[EntryId, str] | None = None
    chunk = chunk_for(len(streams))
    readers = [RangeReader(stream.key, *bounds, chunk) for stream in streams]
    async for entry_id, key, fields, trimmed in merged(readers, fetch_ranges(client)):
        checker = checkers[key]
        if trimmed:
            report.trimmed += 1
            checker.forget_tokens()
        hole = checker.feed_fields(entry_id, fields)
        if hole is not None:
            report.add_hole(hole)
        if before is not None and before[0] == entry_id:
            report.add_hole(
                Hole(key, "id", entry_id, entry_id, None, "an id of its own in the partition", before[1])
            )
        before = (entry_id, key)
    for checker in checkers.values():
        report.add_stream(checker)
