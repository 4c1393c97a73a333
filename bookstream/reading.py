"""Reading the streams from a program of one's own, in ten lines."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from pydantic import ValidationError

from bookstream.running import run_body
from marketdata.errors import BookstreamError, SettingsError
from marketdata.groups import Group
from marketdata.groups.handlers import Handler, checked_handler
from marketdata.groups.serving import serve
from marketdata.redis_client import GIVE_UP_S
from marketdata.settings import RedisSettings


def run_group(
    name: str,
    handler: Handler,
    *,
    redis_url: str | None = None,
    key_prefix: str | None = None,
    member: str | None = None,
    once: bool = False,
) -> None:
    """Reads all streams as a member of a group and calls the handler for each entry, until Ctrl-C or SIGTERM.

    An entry is acknowledged after its call returned. Then the batch in hand is finished and the process exits
    (after Ctrl-C with 130); `async with Group(name)` is the same for programs with an event loop of their own.

    Args:
        name: the group's.
        handler: called with each Message and each Notice; plain or async.
        redis_url, key_prefix: None: as for all commands, from REDIS_URL, KEY_PREFIX or `.env`.
        member: see `Group`.
        once: end when all that is there was handled.

    Raises:
        SystemExit: with the signal's code; with 2 and one line on stderr where a name, handler or setting cannot be
            used, with 1 where Redis cannot. `Group` raises errors instead.
    """
    try:
        code = _run(name, handler, redis_url, key_prefix, member, once=once)
    except BookstreamError as error:
        print(f"group {name!s:.80}: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2 if isinstance(error, SettingsError) else 1
    if code:
        sys.exit(code)


def _run(
    name: str,
    handler: Handler,
    redis_url: str | None,
    key_prefix: str | None,
    member: str | None,
    *,
    once: bool,
) -> int:
    checked_handler(handler)
    given: dict[str, Any] = {"redis_url": redis_url, "key_prefix": key_prefix}
    try:
        settings = RedisSettings(**{field: value for field, value in given.items() if value is not None})
    except ValidationError as error:
        said = "; ".join(
            one["msg"].removeprefix("Value error, ") for one in error.errors(include_input=False)
        )
        raise SettingsError(said) from None

    where, prefix = settings.redis_url, settings.key_prefix
    patience_s = GIVE_UP_S if once else None
    group = Group(name, redis_url=where, key_prefix=prefix, member=member, opens_within_s=patience_s)

    async def body(stop: asyncio.Event) -> int:
        await serve(group, stop, lambda: group.run(handler, once=once))
        return 0

    return run_body(body, stops_itself=True)
