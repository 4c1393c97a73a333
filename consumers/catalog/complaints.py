"""What is wrong with a file of corrections, in words for whoever wrote it (pure)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from pydantic import ValidationError

from marketdata.errors import SettingsError

_WANTED: Final = {
    "string_type": "it must be text, in quotes",
    "string_too_short": "it must not be empty",
    "dict_type": "it must be a table of names",
    "model_type": "it must be a table of keys and values",
    "missing": "this key is missing",
}


def parse(path: str, text: str) -> object:
    """The file's content: JSON where its name ends so or it begins with a brace, else TOML.

    Raises:
        SettingsError: it is not.
    """
    if path.lower().endswith(".json") or (not path.lower().endswith(".toml") and text.lstrip()[:1] == "{"):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise SettingsError(
                f"CATALOG_OVERRIDES: {path} is no JSON ({error}); nothing of it is used"
            ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"CATALOG_OVERRIDES: {path} is no TOML ({error}); nothing of it is used"
        ) from None


def complaint(error: ValidationError, known: Mapping[str, Sequence[str]]) -> str:
    """The first thing that is wrong: where, and what would be right.

    Args:
        known: the keys that each table takes, by its heading; "" is the whole file.
    """
    first: Any = error.errors(include_url=False)[0]
    where = [str(part)[:80] for part in first["loc"]]
    if not where:
        return "it must be a table with markets and events" if first["type"] == "model_type" else _said(first)
    if first["type"] == "extra_forbidden":
        keys = known[where[0]] if len(where) > 1 else known[""]
        return f"{'.'.join(where)} is no key that is known here; known are {', '.join(keys)}"
    return f"{'.'.join(where)}: {_said(first)}"


def _said(first: Any) -> str:
    kind = first["type"]
    if kind == "value_error":
        return str(first["ctx"]["error"])
    if kind == "literal_error":
        return f"it is {str(first['input'])[:40]!r}; allowed: {first['ctx']['expected']}"
    if kind == "string_too_long":
        return f"it must have at most {first['ctx']['max_length']} characters"
    return _WANTED.get(kind) or str(first["msg"])
