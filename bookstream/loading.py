"""From flags, environment and `.env` to a command's settings, each with the place it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from bookstream.dotenv_file import check_dotenv
from bookstream.facts import Facts, facts_of
from bookstream.flags import read_flags
from marketdata.errors import SettingsError
from marketdata.settings import ENV_FILE, CommandSettings, CrossedError

Origin = Literal["flag", "environment", ".env", "default"]
S = TypeVar("S", bound=CommandSettings)

_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """A command's settings.

    Attributes:
        settings: all of them, checked.
        origins: where each came from, by field.
        warnings: what is odd about `.env`, one line each.
    """

    settings: S
    origins: Mapping[str, Origin]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Given:
    """What one place says, unchecked, by field."""

    origin: Origin
    values: Mapping[str, Any]


def load(model: type[S], argv: Sequence[str], prog: str) -> Loaded[S]:
    """Reads and checks the settings of a command.

    Args:
        model: the command's settings.
        argv: what follows the command's name.
        prog: how the command is called, for its help: "bookstream worker".

    Raises:
        SettingsError: one line: the setting as the user gave it, what was given and what is allowed.
    """
    facts = facts_of(model)
    flags = read_flags(model, argv, prog)
    warnings = check_dotenv(Path(ENV_FILE))
    places = [
        _Given("flag", flags),
        _Given("environment", _settings_only(EnvSettingsSource(model)(), facts)),
        _Given(".env", _settings_only(DotEnvSettingsSource(model)(), facts)),
    ]
    winners = {field: place.origin for place in reversed(places) for field in place.values}
    values = {field: value for place in reversed(places) for field, value in place.values.items()}
    try:
        settings = model(**values)
    except ValidationError as error:
        raise SettingsError(_one_line(error, facts, winners, values)) from None
    return Loaded(settings, {field: winners.get(field, "default") for field in facts}, warnings)


def _settings_only(values: Mapping[str, Any], facts: Mapping[str, Facts]) -> dict[str, Any]:
    return {field: value for field, value in values.items() if not facts[field].one_run}


def _one_line(
    error: ValidationError,
    facts: Mapping[str, Facts],
    origins: Mapping[str, Origin],
    values: Mapping[str, Any],
) -> str:
    details = error.errors(include_url=False)
    first = details[0]
    if not first["loc"]:
        return _crossed(first, facts, origins, values)
    field = str(first["loc"][0])
    also = dict.fromkeys(str(one["loc"][0]) for one in details[1:] if one["loc"] and one["loc"][0] != field)
    more = (
        "; also wrong: " + ", ".join(_name(facts[name], origins.get(name)) for name in also) if also else ""
    )
    return _wrong(first, facts[field], origins.get(field)) + more


def _wrong(detail: ErrorDetails, facts: Facts, origin: Origin | None) -> str:
    name = _name(facts, origin)
    reason = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else ""
    if facts.allowed and facts.allowed in reason:
        return f"{name}: {reason}"
    because = f" ({reason})" if reason else ""
    return f"{name} is {_quoted(facts, detail['input'])}{because}; allowed: {facts.allowed}"


def _crossed(
    detail: ErrorDetails,
    facts: Mapping[str, Facts],
    origins: Mapping[str, Origin],
    values: Mapping[str, Any],
) -> str:
    crossed = detail["ctx"]["error"]
    if not isinstance(crossed, CrossedError):
        return str(crossed)

    def side(field: str) -> str:
        one = facts[field]
        shown = one.show(values.get(field, one.default))
        if one.one_run and not one.metavar:
            return one.flag if shown == "yes" else f"--no-{one.flag.removeprefix('--')}"
        if one.one_run and not shown:
            return f"no {one.flag}"
        return f"{_name(one, origins.get(field, 'default'))} is {shown or 'empty'}"

    return (
        f"{side(crossed.field)} and {side(crossed.other)}: "
        f"{_bare(facts[crossed.field])} {crossed.relation} {_bare(facts[crossed.other])}"
    )


def _bare(facts: Facts) -> str:
    return facts.flag if facts.one_run else facts.env


def _name(facts: Facts, origin: Origin | None) -> str:
    """A setting by the name under which it was given: the flag, or the variable and its place."""
    if origin == "flag" or facts.one_run:
        return facts.flag
    return f"{facts.env} ({origin})" if origin else facts.env


def _quoted(facts: Facts, given: object) -> str:
    text = repr(facts.show(given))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
