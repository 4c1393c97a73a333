"""The flags of one command: pydantic-settings makes them from the model, argparse reads them."""

from __future__ import annotations

import argparse
import difflib
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from pydantic_settings import CliSettingsSource

from bookstream.facts import Facts, facts_of
from marketdata.errors import SettingsError
from marketdata.settings import CommandSettings

_MINUS_AND_DIGIT: Final = re.compile(r"-\d.*", re.DOTALL)
# pydantic-settings turns one spelling into None; nobody can type this one.
_NEVER_NONE: Final = "\x00"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """ "; did you mean X?", or nothing where no known word begins so or is close."""
    words = list(known)
    close = difflib.get_close_matches(given, words, n=1, cutoff=0.6)
    if not close and len(given.lstrip("-")) > 1:
        close = [word for word in words if word.startswith(given)]
    return f"; did you mean {close[0]}?" if close else ""


def read_flags(model: type[CommandSettings], argv: Sequence[str], prog: str) -> dict[str, Any]:
    """What the flags say, by field; values are unchecked text, tuples of text and booleans.

    Prints the help and leaves where `--help` is among the flags.

    Raises:
        SettingsError: an unknown flag, or one without its value.
    """
    parser = _Parser(
        prog=prog,
        usage=f"{prog} [flags]",
        description=model.__doc__,
        epilog=(
            "A name in brackets may also be set in the environment or in .env; "
            "flags outrank the environment, which outranks .env."
            if any(facts.env for facts in facts_of(model).values())
            else None
        ),
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    source: CliSettingsSource[argparse.ArgumentParser] = CliSettingsSource(
        model,
        root_parser=parser,
        add_argument_method=_Adder(facts_of(model)),
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_parse_none_str=_NEVER_NONE,
    )
    namespace, unknown = parser.parse_known_args(_join_negative_values(argv))
    if unknown:
        word = unknown[0].partition("=")[0]
        what = "flag" if word.startswith("-") else "argument"
        hint = did_you_mean(word, parser.flags) or f"; see {prog} --help"
        raise SettingsError(f"unknown {what} {word[:60]}{hint}")
    source(parsed_args=namespace)
    return source()


def _join_negative_values(argv: Sequence[str]) -> list[str]:
    """`--from -2h` as `--from=-2h`: argparse would see two flags, and no flag of ours begins with a digit."""
    joined: list[str] = []
    for word in argv:
        before = joined[-1] if joined else ""
        if _MINUS_AND_DIGIT.fullmatch(word) and before.startswith("--") and "=" not in before:
            joined[-1] = f"{before}={word}"
        else:
            joined.append(word)
    return joined


class _Parser(argparse.ArgumentParser):
    @property
    def flags(self) -> list[str]:
        return [flag for action in self._actions for flag in action.option_strings]

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """A flag on one line, its meaning on the next ones: long names leave no room for columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=8)

    def _split_lines(self, text: str, width: int) -> list[str]:
        # A URL that is broken at its hyphens cannot be copied.
        return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


class _Collect(argparse.Action):
    """Values of a flag that may be repeated and take several, as a tuple: text with commas stays whole."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, (*getattr(namespace, self.dest, ()), *values))


class _Adder:
    """Stands in for `add_argument`: puts each flag under its group's heading and words its help."""

    def __init__(self, facts: dict[str, Facts]) -> None:
        self._facts = facts
        self._groups: dict[str, argparse._ArgumentGroup] = {}

    def __call__(self, parser: argparse.ArgumentParser, *_names: str, **options: Any) -> argparse.Action:
        facts = self._facts[options["dest"]]
        if not self._groups:
            titles = dict.fromkeys(one.group for one in self._facts.values())
            self._groups = {title: parser.add_argument_group(title) for title in titles}
        if facts.metavar:
            options["metavar"] = facts.metavar
        if facts.several and facts.one_run:
            options |= {"action": _Collect, "nargs": "+"}
        options["help"] = _help_text(facts).replace("%", "%%")
        return self._groups[facts.group].add_argument(facts.flag, **options)


def _help_text(facts: Facts) -> str:
    said = [facts.env] if facts.env else []
    if facts.metavar and (facts.default or facts.env):
        said.append(f"default {facts.default or 'empty'}")
    elif facts.default == "yes":
        said.append("this is so by default")
    if facts.allowed and not facts.metavar.startswith("{") and facts.allowed != "text":
        said.append(facts.allowed)
    return f"{facts.description} [{'; '.join(said)}]" if said else facts.description
