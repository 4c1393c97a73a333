"""`bookstream redis-url`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from bookstream.commands.common import run_command
from bookstream.settings import RedisUrlSettings


def main(argv: Sequence[str]) -> int:
    """Prints where Redis is; returns the exit code."""
    return run_command("redis-url", RedisUrlSettings, argv, _body, stops_itself=False)


async def _body(settings: RedisUrlSettings, _stop: asyncio.Event) -> int:
    from marketdata.redis_url import where, where_note

    print(where(settings.redis_url))
    if note := where_note(settings.redis_url):
        print(note, file=sys.stderr)
    return 0
