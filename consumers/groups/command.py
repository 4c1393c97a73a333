"""`bookstream groups`, from its settings to its exit code."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rich.console import Console
from rich.table import Table

from consumers.groups.facts import GroupFacts, group_facts
from consumers.groups.settings import DeadLettersSettings, GroupsSettings
from consumers.streams import check_version
from consumers.text import age, shown
from marketdata.clock import now_ms
from marketdata.errors import GroupError, RedisAwayError, RedisRefusedError
from marketdata.groups.dead import dead_letters, drop, requeue
from marketdata.keys import Keys
from marketdata.redis_url import GIVE_UP_S, RedisSession, redis_session
from marketdata.settings import RedisSettings

_LETTERS: Final = 20
_REASON: Final = 60


async def run(settings: GroupsSettings) -> int:
    """Shows the groups; returns 0.

    Raises:
        GroupError: the group named is none.
        ContractError, RedisAwayError, RedisRefusedError: Redis cannot be used.
    """
    async with _opened(settings) as session:
        keys = Keys(settings.key_prefix)
        try:
            await check_version(session.client, keys)
            found = await group_facts(session.client, keys, settings.group)
            if settings.group is not None and not found:
                raise GroupError(f"no group named {settings.group!r} reads these streams")
            if settings.json_:
                for facts in found:
                    print(facts.to_json())
                return 0
            # What is shown was written by others: none of it is markup.
            console = Console(highlight=False, markup=False, emoji=False)
            if not found:
                _say("no group reads these streams")
                return 0
            console.print(_overview(found))
            if settings.group is not None:
                await _more(console, session.client, keys, found[0])
        except (RedisConnectionError, RedisTimeoutError) as error:
            raise RedisAwayError(f"Redis went away ({error}); nothing was changed") from None
        except RedisError as error:
            raise RedisRefusedError(f"Redis refuses to be read ({error}); nothing was changed") from None
    return 0


async def run_dead_letters(settings: DeadLettersSettings, action: Literal["requeue", "drop"]) -> int:
    """Hands dead letters back, or removes them; returns 0, or 1 where the one named is not there.

    Raises:
        GroupError: the group named is none.
        RedisAwayError, RedisRefusedError: Redis cannot be used.
    """
    async with _opened(settings) as session:
        do = requeue if action == "requeue" else drop
        keys = Keys(settings.key_prefix)
        try:
            count = await do(session.client, keys, settings.group, settings.id_)
            known = bool(count or await group_facts(session.client, keys, settings.group))
        except (RedisConnectionError, RedisTimeoutError) as error:
            raise RedisAwayError(f"Redis went away ({error}); what was done is done, try again") from None
        except RedisError as error:
            raise RedisRefusedError(f"Redis refuses a command ({error}); try again") from None
    if not known:
        raise GroupError(f"no group named {settings.group!r} reads these streams")
    done = "handed back to" if action == "requeue" else "removed from"
    print(f"{count} dead letter{'' if count == 1 else 's'} {done} group {settings.group}")
    return 1 if settings.id_ is not None and not count else 0


def _opened(settings: RedisSettings) -> AbstractAsyncContextManager[RedisSession]:
    return redis_session(settings.redis_url, client_name="bookstream-groups", log=_say, give_up_s=GIVE_UP_S)


def _overview(found: list[GroupFacts]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("group")
    for column in ("members", "partitions", "streams", "lag", "pending", "dead letters"):
        table.add_column(column, justify="right")
    for one in found:
        partitions = sum(len(member["partitions"]) for member in one.members)
        figures = len(one.members), partitions, one.streams, one.lag, one.pending, one.dead
        table.add_row(shown(one.name, 40), *(f"{figure:,}" for figure in figures))
    return table


async def _more(console: Console, client: Redis, keys: Keys, facts: GroupFacts) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("member")
    # Programs that write something say how soon after the quote that caused it.
    writes = any(member.get("write_ms") for member in facts.members)
    for column in ("partitions", "handled", "in hand", "behind", *(("written in",) * writes), "up for"):
        table.add_column(column, justify="right")
    for member in facts.members:
        table.add_row(
            shown(str(member["member"]), 40),
            str(len(member["partitions"])),
            f"{member.get('handled', 0):,}",
            f"{member['held']:,}",
            age(member["behind_ms"] / 1000),
            *((_written(member.get("write_ms") or {}),) * writes),
            age((now_ms() - member["started_ms"]) / 1000),
        )
    if facts.members:
        console.print()
        console.print(table)
    if not facts.dead:
        return
    letters = Table(box=None, pad_edge=False)
    for column in ("dead letter", "entry", "stream", "calls", "reason"):
        letters.add_column(column, no_wrap=column != "reason")
    count = 0
    async for letter_id, letter in dead_letters(client, keys, facts.name):
        count += 1
        if count > _LETTERS:
            break
        reason = shown(letter.reason, _REASON)
        letters.add_row(letter_id, str(letter.id), shown(letter.stream, 28), str(letter.attempts), reason)
    console.print()
    console.print(letters)
    if facts.dead > _LETTERS:
        console.print(f"and {facts.dead - _LETTERS} more: XRANGE {keys.dead(facts.name)} - +")


def _written(write_ms: dict[str, float]) -> str:
    return f"{write_ms['p50']:g} ms, p99 {write_ms['p99']:g} ms" if write_ms else ""


def _say(line: str) -> None:
    print(f"bookstream groups: {line}", file=sys.stderr, flush=True)
