"""`bookstream groups`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Literal, cast

from bookstream.commands.common import run_command
from consumers.groups.settings import DeadLettersSettings, GroupsSettings, RemovalSettings
from marketdata.errors import SettingsError

Action = Literal["requeue", "drop"]
_ACTIONS: Final = ("requeue", "drop", "remove")


def main(argv: Sequence[str]) -> int:
    """Shows groups, deals with dead letters, or takes a group away; returns the exit code.

    Raises:
        SettingsError: no group is named where one is needed.
    """
    words = list(argv)
    action = words.pop(0) if words and words[0] in _ACTIONS else None
    if words and not words[0].startswith("-"):
        words[:1] = ["--group", words[0]]
    if action is None:
        return run_command("groups", GroupsSettings, words, _show, stops_itself=False)
    if not any(word in ("-h", "--help") or word.startswith("--group") for word in words):
        asked = "which group?" if action == "remove" else "whose dead letters?"
        raise SettingsError(f"{asked} say bookstream groups {action} GROUP")
    if action == "remove":
        return run_command("groups remove", RemovalSettings, words, _remove, stops_itself=False)

    async def body(settings: DeadLettersSettings, _stop: asyncio.Event) -> int:
        from consumers.groups.command import run_dead_letters

        return await run_dead_letters(settings, cast(Action, action))

    return run_command(f"groups {action}", DeadLettersSettings, words, body, stops_itself=False)


async def _remove(settings: RemovalSettings, _stop: asyncio.Event) -> int:
    from consumers.groups.command import run_removal

    return await run_removal(settings)


async def _show(settings: GroupsSettings, _stop: asyncio.Event) -> int:
    from consumers.groups.command import run

    return await run(settings)
