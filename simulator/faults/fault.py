"""A fault as plain data, and what each kind takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from marketdata.errors import FaultError
from simulator.venue.conduct import can_be_sent

Kind = Literal[
    "drop",
    "close",
    "half-open",
    "stall",
    "withhold-books",
    "delay",
    "reorder",
    "double",
    "lose",
    "wrong-hash",
    "wrong-best",
    "crossed",
    "garbage",
    "refuse",
    "accept-close",
    "rest-error",
    "rest-down",
    "rest-shell",
]
Form = Literal["json", "utf8", "truncated", "unknown", "text", "huge", "any"]
Rescue = Literal["resubscribe", "reconnect", "never"]

MAX_FOR_S: Final = 86_400.0
MAX_DELAY_S: Final = 600.0

_WHOM: Final = frozenset({"connection", "token", "market"})
_MUCH: Final = frozenset({"for_s", "count", "share"})


def _no_truth_values(given: object) -> object:
    # True would pass for 1.
    if isinstance(given, bool):
        raise ValueError("not a number")
    return given


_Number = Annotated[float, BeforeValidator(_no_truth_values)]
_Whole = Annotated[int, BeforeValidator(_no_truth_values)]


@dataclass(frozen=True, slots=True)
class About:
    """What a kind takes beside `at_s`, and how long it lasts where nobody says.

    Attributes:
        takes: the fields of Fault that it knows.
        once: it acts one time where neither `for_s` nor `count` nor `share` is given; else until it is removed.
        times_itself: `for_s` is the length of each act, not of the whole.
    """

    takes: frozenset[str]
    once: bool = False
    times_itself: bool = False


KINDS: Final[Mapping[Kind, About]] = {
    "drop": About(_WHOM | _MUCH),
    "close": About(_WHOM | _MUCH | {"code", "reason"}),
    "half-open": About(_WHOM | _MUCH, times_itself=True),
    "stall": About(_WHOM | {"for_s", "rescue"}),
    "withhold-books": About(_WHOM | _MUCH),
    "delay": About(_WHOM | _MUCH | {"delay_s", "event"}),
    "reorder": About(_WHOM | _MUCH | {"by", "event"}, once=True),
    "double": About(_WHOM | _MUCH | {"event"}, once=True),
    "lose": About(_WHOM | _MUCH | {"event"}, once=True),
    "wrong-hash": About(_WHOM | _MUCH, once=True),
    "wrong-best": About(_WHOM | _MUCH, once=True),
    "crossed": About(_WHOM | _MUCH, once=True, times_itself=True),
    "garbage": About(_WHOM | _MUCH | {"form"}, once=True),
    "refuse": About(_MUCH | {"status", "retry_after_s"}, once=True),
    "accept-close": About(_MUCH | {"code", "reason"}, once=True),
    "rest-error": About(_MUCH | {"status", "retry_after_s", "path"}),
    "rest-down": About(_MUCH | {"path"}),
    "rest-shell": About(_MUCH | {"token", "market", "age_s"}),
}


class Fault(BaseModel):
    """One fault: what, whom, how much, when.

    Attributes:
        kind: see docs/simulator.md.
        at_s: seconds from the venue's opening, or from the call that asks for it.
        connection: number of the connection, 1 for the first that was ever accepted; "any": one by chance.
        token, market: token id, condition id; "any": one by chance of those that are watched.
        share: the chance that it acts, of each message, token, connection or call that it could act on.
        count: it is over after so many acts.
        for_s: it is over after so many seconds. Of half-open: the connection is cut then. Of crossed: the level is
            taken back then.
        code, reason: of the close frame; 1006 cuts.
        rescue: what ends a stall before its time: a new subscription, only another connection, or nothing.
        delay_s: how late.
        by: how many later messages of its market overtake a reordered one.
        event: only messages of this event_type.
        form: of garbage.
        status, retry_after_s: of a refusal over HTTP; 0: without Retry-After.
        path: REST calls whose path begins so.
        age_s: how long before now a shell says that it was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind
    at_s: _Number = Field(default=0.0, ge=0, le=MAX_FOR_S)
    connection: Literal["any"] | Annotated[_Whole, Field(ge=1)] | None = None
    token: str | None = Field(default=None, min_length=1, max_length=100)
    market: str | None = Field(default=None, min_length=1, max_length=100)
    share: _Number = Field(default=1.0, gt=0, le=1)
    count: _Whole | None = Field(default=None, ge=1, le=1_000_000_000)
    for_s: _Number | None = Field(default=None, gt=0, le=MAX_FOR_S)
    code: _Whole = 1011
    reason: str = Field(default="", max_length=60)
    rescue: Rescue = "never"
    delay_s: _Number = Field(default=1.0, gt=0, le=MAX_DELAY_S)
    by: _Whole = Field(default=1, ge=1, le=1_000)
    event: str | None = Field(default=None, min_length=1, max_length=100)
    form: Form = "any"
    status: _Whole | None = Field(default=None, ge=400, le=599)
    retry_after_s: _Whole = Field(default=0, ge=0, le=86_400)
    path: str = "/"
    age_s: _Number = Field(default=0.0, ge=0, le=31_536_000)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        takes = KINDS[self.kind].takes
        if strangers := sorted(self.model_fields_set - takes - {"kind", "at_s"}):
            raise ValueError(f"{self.kind} takes no {strangers[0]}; it takes {', '.join(sorted(takes))}")
        if not can_be_sent(self.code):
            raise ValueError(
                f"code {self.code} cannot be sent; 1000 to 1014 without 1004, 1005, or 3000 to 4999"
            )
        return self

    @property
    def most(self) -> int | None:
        """After how many acts it is over; None: never for that reason."""
        about = KINDS[self.kind]
        unsaid = self.count is None and self.share == 1 and (self.for_s is None or about.times_itself)
        return 1 if unsaid and about.once else self.count

    def told(self) -> dict[str, Any]:
        """As JSON has it, without what was left at its default."""
        return self.model_dump(exclude_defaults=True)


def fault_of(given: object) -> Fault:
    """The fault that a JSON object describes.

    Raises:
        FaultError: one line that says what is wrong with it and what is allowed.
    """
    if not isinstance(given, Mapping):
        raise FaultError('a fault is a JSON object, as {"kind": "drop"}')
    try:
        return Fault.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if not first["loc"]:
            raise FaultError(str(first["ctx"]["error"])) from None
        field = str(first["loc"][0])
        if field == "kind":
            raise FaultError(
                f"kind is {given.get('kind')!r}; kinds are {', '.join(get_args(Kind))}"
            ) from None
        if first["type"] == "extra_forbidden":
            known = sorted(KINDS[given["kind"]].takes) if given.get("kind") in KINDS else Fault.model_fields
            raise FaultError(f"unknown key {field[:40]!r}; known are {', '.join(known)}") from None
        if field == "connection":
            # Of a choice of types pydantic tells what the first one lacks.
            raise FaultError(
                f"connection is {str(first['input'])[:60]!r}; allowed: a whole number from 1 up, or any"
            ) from None
        raise FaultError(f"{field} is {str(first['input'])[:60]!r}: {first['msg']}") from None
