"""What there is to say of a setting: its names, its group, what is allowed. All of it read from the model."""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from marketdata.redis_target import mask
from marketdata.settings import LOGS, REDIS, THIS_RUN, CommandSettings

# The groups that all commands share come last, after what sets a command apart.
_ORDER: Final = {THIS_RUN: -1, REDIS: 1, LOGS: 2}


@dataclass(frozen=True, slots=True)
class Facts:
    """One setting, as people are told of it.

    Attributes:
        field: its name in the model.
        flag: "--ping-interval-s".
        env: "PING_INTERVAL_S"; empty for an argument of one run.
        group: the heading it stands under.
        description: one sentence.
        allowed: what may be given, in words; empty for a switch.
        default: as one would write it.
        metavar: the word for its value; empty for a switch.
        several: whether the flag takes several values.
        secret: whether its value may hold a password.
    """

    field: str
    flag: str
    env: str
    group: str
    description: str
    allowed: str
    default: str
    metavar: str
    several: bool
    secret: bool

    @property
    def one_run(self) -> bool:
        """Whether it is an argument of one run: a flag and nothing else."""
        return not self.env

    def show(self, value: object) -> str:
        """A value as one would write it, without passwords."""
        text = spelled(value)
        return mask(text) if self.secret else text


@cache
def facts_of(model: type[CommandSettings]) -> dict[str, Facts]:
    """All settings of a command by field: those of the run, then its own, then what all commands share."""
    every = [_facts(name, field) for name, field in model.model_fields.items()]
    every.sort(key=lambda facts: _ORDER.get(facts.group, 0))
    return {facts.field: facts for facts in every}


def spelled(value: object) -> str:
    """A value as one would write it in `.env`: 15.0 is "15", ("a", "b") is "a,b", None is ""."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return str(int(value)) if value.is_integer() else str(value)
        case tuple() | list():
            return ",".join(spelled(item) for item in value)
        case _:
            return str(value)


def _facts(name: str, field: FieldInfo) -> Facts:
    told = field.json_schema_extra
    assert isinstance(told, dict), f"{name} is declared without setting() or argument()"
    plain = name.rstrip("_")
    kind, constraints = _bare(field.annotation, field.metadata)
    switch = kind is bool
    allowed = "" if switch else str(told["allowed"]) or _allowed(kind, constraints)
    return Facts(
        field=name,
        flag="--" + plain.replace("_", "-"),
        env="" if told.get("one_run") else plain.upper(),
        group=str(told["group"]),
        description=field.description or "",
        allowed=allowed,
        default=spelled(field.default),
        metavar="" if switch else str(told["metavar"]) or _metavar(kind),
        several=get_origin(kind) is tuple,
        secret=bool(told.get("secret")),
    )


def _bare(annotation: Any, metadata: Iterable[Any]) -> tuple[Any, list[Any]]:
    """The type itself and its constraints, without Annotated and None around it."""
    constraints = list(metadata)
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            constraints += more
        elif origin in (Union, types.UnionType):
            (annotation,) = (kind for kind in get_args(annotation) if kind is not type(None))
        else:
            return annotation, constraints


def _allowed(kind: Any, constraints: list[Any]) -> str:
    if get_origin(kind) is Literal:
        *first, last = map(str, get_args(kind))
        return f"{', '.join(first)} or {last}" if first else last
    if kind not in (int, float):
        return "text"
    noun = "a whole number" if kind is int else "a number"
    low = next((f"from {spelled(limit.ge)}" for limit in constraints if isinstance(limit, Ge)), "")
    low = low or next((f"above {spelled(limit.gt)}" for limit in constraints if isinstance(limit, Gt)), "")
    high = next((f"to {spelled(limit.le)}" for limit in constraints if isinstance(limit, Le)), "")
    high = high or next((f"below {spelled(limit.lt)}" for limit in constraints if isinstance(limit, Lt)), "")
    if high.startswith("to ") and low.startswith("above "):
        return f"{noun} {low}, up {high}"
    return " ".join(
        part for part in (noun, low, high if high else "up" if low.startswith("from") else "") if part
    )


def _metavar(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    return "N" if kind in (int, float) else "TEXT"
