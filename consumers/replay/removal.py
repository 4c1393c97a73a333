"""Removes a copy that a replay made, with all that was read and found there: `--replace`."""

from __future__ import annotations

import re
from typing import Any, Final

from redis.asyncio import Redis

from marketdata.errors import ReplayError
from marketdata.keys import Keys

_SCAN_COUNT: Final = 1_000
_GLOB: Final = re.compile(r"([*?\[\]\\^])")
# Other prefixes may begin with this one, so names are known in full; the marker goes last.
_NAMES: Final = re.compile(
    r"(?:book|clock|opportunities|arbitrage|lease|requeue|begun):\{\d\d\}(?::\S+)?"
    r"|catalog(?::log)?|contract:(?:version|partitions)|quarantine"
    r"|groups|(?:group|role|dead):[A-Za-z0-9._-]+|group:[A-Za-z0-9._-]+:[A-Za-z0-9._-]+",
    re.ASCII,
)


async def remove_copy(client: Redis, keys: Keys) -> int:
    """Removes what stands under the prefix of a copy; says how many keys. May be called twice.

    Returns:
        0 where there is no copy: what else is there is left alone.

    Raises:
        ReplayError: somebody reads or writes there; nothing was removed.
    """
    marker = f"{keys.prefix}replay"
    if not await client.exists(marker):
        return 0
    await _refuse_what_lives(client, keys)
    await client.hset(marker, mapping={"state": "broken", "why": "its removal was interrupted"})
    pattern = _GLOB.sub(r"\\\1", keys.prefix) + "*"
    found: list[bytes] = []
    async for key in client.scan_iter(match=pattern, count=_SCAN_COUNT):
        if _NAMES.fullmatch(key.decode(errors="replace").removeprefix(keys.prefix)):
            found.append(key)
    # UNLINK frees them in the background.
    for at in range(0, len(found), _SCAN_COUNT):
        await client.unlink(*found[at : at + _SCAN_COUNT])
    await client.unlink(marker)
    return len(found) + 1


async def _refuse_what_lives(client: Redis, keys: Keys) -> None:
    if await client.exists(keys.workers):
        raise ReplayError(f"a worker has written under {keys.prefix!r}, it is no copy; nothing was removed")
    groups: Any = await client.zrange(keys.groups, 0, -1)
    for group in (one.decode(errors="replace") for one in groups):
        members: Any = await client.zrange(keys.group(group), 0, -1)
        for member in (one.decode(errors="replace") for one in members):
            if await client.exists(keys.group_member(group, member)):
                raise ReplayError(
                    f"{member} of group {group} reads the copy {keys.prefix!r}; nothing was removed: stop it first"
                )
