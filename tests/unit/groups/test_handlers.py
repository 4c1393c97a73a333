"""What can be called with one argument is a handler; what cannot would make every entry a dead letter."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from bookstream import run_group
from marketdata.errors import SettingsError
from marketdata.groups.handlers import checked_handler


def takes_one(item: object) -> None: ...


async def takes_one_async(item: object, *, retries: int = 1) -> None: ...


def takes_none() -> None: ...


def takes_two(item: object, more: object) -> None: ...


def needs_a_word(item: object, *, word: str) -> None: ...


def yields(item: object) -> Iterator[object]:
    yield item


async def yields_async(item: object) -> AsyncIterator[object]:
    yield item


class Caller:
    def __call__(self, item: object) -> None: ...

    def method(self, item: object) -> None: ...


class Yielder:
    def __call__(self, item: object) -> Iterator[object]:
        yield item


class AsyncYielder:
    async def __call__(self, item: object) -> AsyncIterator[object]:
        yield item


@pytest.mark.parametrize(
    "handler",
    [
        *(
            takes_one,
            takes_one_async,
            print,
            [].append,
            Caller(),
            Caller().method,
            Caller.method.__get__(Caller()),
        ),
        *(lambda *_: None, functools.partial(takes_two, more=1), int, {}.get, min),
    ],
)
def test_handlers(handler: Any) -> None:
    assert checked_handler(handler) is handler


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (None, "None is no handler, it is not callable"),
        ("handle", "'handle' is no handler, it is not callable"),
        (takes_none, "takes_none is no handler, it takes () -> 'None'"),
        (takes_two, "takes_two is no handler, it takes (item:"),
        (needs_a_word, "needs_a_word is no handler, it takes (item:"),
        (functools.partial(takes_one, 1), "is no handler, it takes () -> "),
        (yields, "yields is no handler, it yields, so a call does not run it"),
        (yields_async, "yields_async is no handler, it yields, so a call does not run it"),
        (Yielder(), "is no handler, it yields, so a call does not run it"),
        (AsyncYielder(), "is no handler, it yields, so a call does not run it"),
        (functools.partial(Yielder()), "is no handler, it yields, so a call does not run it"),
    ],
)
def test_what_is_none_is_refused_in_one_line_before_anything_is_joined(
    handler: Any, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        checked_handler(handler)
    assert why in str(refused.value)
    with pytest.raises(SystemExit) as ended:
        # Nothing listens at port 9: whoever got further would wait there for ever.
        run_group("ab", handler, redis_url="redis://127.0.0.1:9")
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("group ab: ")
    assert told.count("\n") == 1
