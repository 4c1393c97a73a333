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
from consumers.groups.letters import LETTERS, letter_lines
from consumers.groups.removal import remove_group
from consumers.groups.settings import DeadLettersSettings, GroupsSettings, RemovalSettings
from consumers.streams import check_version
from consumers.text import age, shown
from marketdata.clock import now_ms
from marketdata.errors import GroupError, RedisAwayError, RedisRefusedError
from marketdata.groups.dead import drop, requeue
from marketdata.keys import Keys
from marketdata.redis_url import GIVE_UP_S, RedisSession, redis_session
from marketdata.settings import RedisSettings

_PIPED_WIDTH: Final = 200
"""No figure is cut for a reader that has no width."""


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
            width = None if sys.stdout.isatty() else _PIPED_WIDTH
            console = Console(highlight=False, markup=False, emoji=False, width=width)
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
    print(f"{_counted(count, 'dead letter')} {done} group {settings.group}")
    return 1 if settings.id_ is not None and not count else 0


async def run_removal(settings: RemovalSettings) -> int:
    """Takes a group away; returns 0.

    Raises:
        GroupError: the group named is none, or somebody reads it.
        ContractError: the streams follow another contract.
        RedisAwayError, RedisRefusedError: Redis cannot be used.
    """
    name = settings.group
    async with _opened(settings) as session:
        keys = Keys(settings.key_prefix)
        try:
            await check_version(session.client, keys)
            removed = await remove_group(session.client, keys, name, dead_letters=settings.dead_letters)
        except (RedisConnectionError, RedisTimeoutError) as error:
            raise RedisAwayError(f"Redis went away ({error}); what was done is done, try again") from None
        except RedisError as error:
            raise RedisRefusedError(f"Redis refuses a command ({error}); try again") from None
    if not removed.known:
        raise GroupError(f"no group named {name!r} reads these streams")
    letters = ""
    if removed.letters and settings.dead_letters:
        letters = f", with {_counted(removed.letters, 'dead letter')}"
    elif removed.letters:
        stay = "stays" if removed.letters == 1 else "stay"
        letters = f"; {_counted(removed.letters, 'dead letter')} {stay} until bookstream groups drop {name}"
    states = ""
    if removed.states:
        states = f", with the engine's state of {_counted(removed.states, 'partition')} (what it found stays)"
    read = f"{_counted(removed.streams, 'stream')} and {_counted(removed.clocks, 'clock')}"
    print(f"group {name} is removed from {read}{states}{letters}")
    return 0


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _opened(settings: RedisSettings) -> AbstractAsyncContextManager[RedisSession]:
    return redis_session(settings.redis_url, client_name="bookstream-groups", log=_say, give_up_s=GIVE_UP_S)


def _overview(found: list[GroupFacts]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("group")
    for column in ("members", "partitions", "streams", "lag", "pending", "dead letters", "handed back"):
        table.add_column(column, justify="right")
    for one in found:
        partitions = sum(len(member["partitions"]) for member in one.members)
        figures = len(one.members), partitions, one.streams, one.lag, one.pending, one.dead, one.handed_back
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
    console.print()
    for line in await letter_lines(client, keys, facts.name):
        console.print(line, soft_wrap=True)
    if facts.dead > LETTERS:
        console.print(f"and {facts.dead - LETTERS} more: XRANGE {keys.dead(facts.name)} - +")


def _written(write_ms: dict[str, float]) -> str:
    return f"{write_ms['p50']:g} ms, p99 {write_ms['p99']:g} ms" if write_ms else ""


def _say(line: str) -> None:
    print(f"bookstream groups: {line}", file=sys.stderr, flush=True)
