"""`bookstream config [COMMAND]`: what is in force, and where it comes from."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bookstream.facts import Facts, facts_of
from bookstream.flags import did_you_mean
from bookstream.loading import load
from bookstream.settings import MODELS
from marketdata.errors import SettingsError

_HELP: Final = f"""usage: bookstream config [--json] [COMMAND [flags of COMMAND]]

Shows the settings in force and where each comes from: flag, environment, .env or default.
Without COMMAND: those of all commands. Passwords are masked.

COMMAND is one of {", ".join(MODELS)}.

  --json  one JSON object: by name, the value and where it comes from
"""
_PIPED_WIDTH: Final = 160


@dataclass(frozen=True, slots=True)
class _Row:
    facts: Facts
    value: object
    origin: str


def show(argv: Sequence[str]) -> int:
    """Prints the table, or JSON; returns the exit code.

    Raises:
        SettingsError: an unknown command, or a setting that is wrong.
    """
    as_json = "--json" in argv
    rest = [word for word in argv if word != "--json"]
    if rest and rest[0] in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    names = [_command(rest[0])] if rest else list(MODELS)
    rows: dict[str, _Row] = {}
    warnings: list[str] = []
    for name in names:
        loaded = load(MODELS[name], rest[1:], f"bookstream config {name}")
        warnings = loaded.warnings
        for field, facts in facts_of(MODELS[name]).items():
            # Without a command there is no run that an argument could belong to.
            if rest or not facts.one_run:
                row = _Row(facts, getattr(loaded.settings, field), loaded.origins[field])
                rows.setdefault(facts.env or facts.flag, row)
    for warning in warnings:
        print(f"bookstream config: warning: {warning}", file=sys.stderr)
    if as_json:
        print(_json(rows))
    else:
        _print_table(rows)
    return 0


def _command(word: str) -> str:
    if word in MODELS:
        return word
    if word.startswith("-"):
        raise SettingsError(f"flags go after the name of a command: bookstream config COMMAND {word[:60]}")
    hint = did_you_mean(word, MODELS) or f"; there are {', '.join(MODELS)}"
    raise SettingsError(f"no command {word[:60]!r} has settings{hint}")


def _json(rows: Mapping[str, _Row]) -> str:
    shown = {
        name: {
            "value": row.facts.show(row.value) if row.facts.secret else row.value,
            "from": row.origin,
        }
        for name, row in rows.items()
    }
    return orjson.dumps(shown, default=str, option=orjson.OPT_INDENT_2).decode()


def _print_table(rows: Mapping[str, _Row]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Setting", "Value", "From"):
        table.add_column(heading, overflow="fold")
    group = ""
    for name, row in rows.items():
        if row.facts.group != group:
            group = row.facts.group
            table.add_section()
            table.add_row(Text(group, "cyan"))
        style = "dim" if row.origin == "default" else "bold"
        table.add_row(Text(f"  {name}"), Text(row.facts.show(row.value), style), Text(row.origin, style))
    console = _Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    console.print(table)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich would end the process with exit code 1; the command line has a way of its own.
        raise BrokenPipeError
