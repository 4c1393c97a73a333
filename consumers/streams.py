"""Which market streams there are, and which of them a user means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from redis.asyncio import Redis

from marketdata.errors import ContractError, SettingsError
from marketdata.keys import CONTRACT_VERSION, Keys
from marketdata.market import Market

_SCAN_COUNT: Final = 1000
_GLOB: Final = re.compile(r"([*?\[\]\\^])")


@dataclass(frozen=True, slots=True, order=True)
class MarketStream:
    """A market's stream by its name.

    Attributes:
        key: in Redis.
        partition: the unit of order.
        condition_id: of the market.
    """

    key: str
    partition: int
    condition_id: str

    @classmethod
    def of(cls, keys: Keys, partition: int, condition_id: str) -> Self:
        """The stream of a market."""
        return cls(keys.book(partition, condition_id), partition, condition_id)

    @classmethod
    def parse(cls, keys: Keys, key: str) -> Self | None:
        """The stream that a key names; None for a key that is no market's stream."""
        match = re.fullmatch(re.escape(keys.prefix) + r"book:\{(\d\d)\}:(\S+)", key, re.ASCII)
        return cls(key, int(match[1]), match[2]) if match else None


async def scan_streams(client: Redis, keys: Keys) -> list[MarketStream]:
    """All market streams that exist, sorted by key; also those of markets that the catalog has forgotten."""
    pattern = _GLOB.sub(r"\\\1", keys.prefix) + "book:{[0-9][0-9]}:*"
    found: set[MarketStream] = set()
    async for key in client.scan_iter(match=pattern, count=_SCAN_COUNT, _type="stream"):
        stream = MarketStream.parse(keys, _text(key))
        if stream is not None:
            found.add(stream)
    return sorted(found)


async def check_version(client: Redis, keys: Keys) -> None:
    """Refuses streams of another contract.

    Raises:
        ContractError: this Redis says that its streams follow another one.
    """
    found = await client.get(keys.contract_version)
    if found is not None and _text(found) != str(CONTRACT_VERSION):
        raise ContractError(
            f"the streams of this Redis follow contract {_text(found)[:20]!r}, this program"
            f" reads contract {CONTRACT_VERSION}; nothing was read: use the program that wrote them"
        )


def chosen_markets(
    words: Sequence[str], markets: Mapping[str, Market], streams: Iterable[MarketStream]
) -> frozenset[str]:
    """The condition ids that a user means.

    Args:
        words: condition ids, beginnings of one that are unique, or market slugs.
        markets: the catalog, by condition id.
        streams: those that exist; their markets may be missing from the catalog.

    Raises:
        SettingsError: a word names no market, or more than one.
    """
    known = {*markets, *(stream.condition_id for stream in streams)}
    return frozenset(_chosen(word, markets, known) for word in words)


def _chosen(word: str, markets: Mapping[str, Market], known: set[str]) -> str:
    word = word.strip()
    if word.lower() in known:
        return word.lower()
    slugs = [one.condition_id for one in markets.values() if one.slug == word]
    if word.lower().startswith("0x") and len(word) > 2:
        fitting = sorted(one for one in known if one.startswith(word.lower()))
    else:
        fitting = sorted(slugs)
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise SettingsError(
            f"--market {word[:80]!r} names no market: it is neither (the beginning of) a condition id nor a"
            f" slug of the {len(known)} markets in this Redis"
        )
    shown = ", ".join(f"{one[:18]}…" for one in fitting[:3])
    raise SettingsError(f"--market {word[:80]!r} fits {len(fitting)} markets ({shown}); write more of the id")


def _text(key: bytes | str) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else key
