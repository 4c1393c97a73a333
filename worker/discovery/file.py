"""Markets from a file of Gamma's rows: CATALOG=file:PATH.

A JSON array of events or markets, an object with such an array under `events` or `markets`, a single event or
market, or JSON lines of any of these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from marketdata.errors import CatalogError, DiscoveryError
from marketdata.venue import padded_condition_id
from worker.discovery.found import Discovered, Gathering, Resolution, Resolutions, resolution_of

MAX_FILE_BYTES: Final = 256 * 1024 * 1024


class FileDiscovery:
    """Reads the file anew at each call, so that a changed file is seen at the next refresh.

    Args:
        path: the file.
        partitions: the number of partitions.
    """

    def __init__(self, path: Path | str, *, partitions: int) -> None:
        self._path = Path(path)
        self._partitions = partitions

    async def fetch(self) -> Discovered:
        """All markets of the file; filters are left to the selection.

        Raises:
            DiscoveryError: the file cannot be read, or holds no market at all.
        """
        return await asyncio.to_thread(self._fetch)

    async def resolutions(self, condition_ids: Iterable[str]) -> Resolutions:
        """Which of these markets the file calls closed or resolved.

        Raises:
            DiscoveryError: the file cannot be read.
        """
        return await asyncio.to_thread(
            self._resolutions, frozenset(padded_condition_id(one) for one in condition_ids)
        )

    def _fetch(self) -> Discovered:
        found = Gathering(self._partitions)
        for row in self._rows():
            if isinstance(row, dict) and "markets" in row:
                found.add_event(row)
            else:
                found.add_market(row)
        if not found.markets and not found.refused:
            raise DiscoveryError(f"{self._path} holds neither events nor markets; give it Gamma's JSON")
        return found.done()

    def _resolutions(self, asked: frozenset[str]) -> Resolutions:
        over, refused = dict[str, Resolution](), list[tuple[str, str]]()
        for row in self._rows():
            inside = row.get("markets") if isinstance(row, dict) else None
            for market in inside if isinstance(inside, list) else [row]:
                try:
                    end = resolution_of(market)
                except CatalogError as error:
                    refused.append((str(market)[:60], str(error)))
                    continue
                if end and end[0] in asked:
                    over[end[0]] = end[1]
        return Resolutions(over, refused)

    def _rows(self) -> Iterator[Any]:
        """Events and markets, whatever holds them."""
        try:
            size = self._path.stat().st_size
            if size > MAX_FILE_BYTES:
                raise DiscoveryError(f"{self._path} has {size} bytes, more than {MAX_FILE_BYTES}; not read")
            data = self._path.read_bytes()
        except OSError as error:
            raise DiscoveryError(f"{self._path} cannot be read: {error.strerror}") from None
        for document in self._documents(data):
            yield from _unwrapped(document)

    def _documents(self, data: bytes) -> list[Any]:
        try:
            return [orjson.loads(data)]
        except orjson.JSONDecodeError as whole:
            lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
            documents = []
            for number, line in lines:
                try:
                    documents.append(orjson.loads(line))
                except orjson.JSONDecodeError as error:
                    # A first line that is no document by itself: the file was meant as one.
                    where, why = (f"line {number}", error) if documents else (f"line {whole.lineno}", whole)
                    raise DiscoveryError(f"{self._path}, {where}: not JSON ({why.msg}); not used") from None
            return documents


def _unwrapped(document: Any) -> Iterator[Any]:
    if isinstance(document, list):
        for one in document:
            yield from _unwrapped(one)
    elif isinstance(document, dict) and "conditionId" not in document and "slug" not in document:
        for name in ("events", "markets"):
            if isinstance(document.get(name), list):
                yield from document[name]
                return
        yield document
    else:
        yield document
