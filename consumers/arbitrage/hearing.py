"""When the engine was last heard of: nothing found and nobody looking are not the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis

from consumers.arbitrage.settings import PROGRAM
from consumers.silence import Silence
from consumers.text import age, utc
from marketdata.groups.messages import SILENT_AFTER_S
from marketdata.keys import Keys

NEVER: Final = "no engine is known here; bookstream arbitrage looks for opportunities"


async def last_heard_ms(client: Redis, keys: Keys) -> int | None:
    """When a member of an engine's group last spoke, Unix milliseconds by its clock; None: none ever did.

    The client's own errors go through.
    """
    listed: Any = await client.zrange(keys.groups, 0, -1, withscores=True)
    if not listed:
        return None
    async with client.pipeline(transaction=False) as pipe:
        for name, _ in listed:
            pipe.hget(keys.role(name.decode(errors="replace")), "program")
        programs = await pipe.execute()
    engines = [
        int(ms) for (_, ms), program in zip(listed, programs, strict=True) if program == PROGRAM.encode()
    ]
    return max(engines, default=None)


async def last_word(client: Redis, keys: Keys, now_ms: int) -> str:
    """A line for the end of a listing, where the engine is silent; else nothing.

    Args:
        now_ms: Unix milliseconds.
    """
    heard_ms = await last_heard_ms(client, keys)
    if heard_ms is None:
        return NEVER
    silent_s = (now_ms - heard_ms) / 1000
    if silent_s < SILENT_AFTER_S:
        return ""
    return (
        f"the engine was last heard of {age(silent_s)} ago, at {utc(heard_ms)}; nothing later was looked at"
    )


class Hearing:
    """Follows the engine's word. Lets the client's own errors through.

    Args:
        say: gets one line when it falls silent, and one when it is back.
    """

    def __init__(self, client: Redis, keys: Keys, say: Callable[[str], None]) -> None:
        self._client = client
        self._keys = keys
        self._say = say
        self._silence = Silence[str]()

    async def look(self, now_s: float) -> None:
        """About once a second; `now_s` rises and has any beginning."""
        heard_ms = await last_heard_ms(self._client, self._keys)
        change = self._silence.look({"engine": heard_ms}, now_s)
        if change == "back":
            self._say(f"the engine is heard again, after {age(now_s - self._silence.since_s)}")
        elif change == "silent":
            self._say(
                NEVER
                if heard_ms is None
                else f"no word of the engine for {SILENT_AFTER_S:g} s, the last one was at {utc(heard_ms)}:"
                " nobody looks for opportunities"
            )

    def was_deaf(self, now_s: float) -> None:
        """Redis was away until now."""
        self._silence.was_deaf(now_s)
