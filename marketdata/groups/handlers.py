"""What a handler of entries is, and what is none (pure)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from marketdata.errors import SettingsError

Handler = Callable[[Any], Awaitable[object] | object]
"""Called with a Message or a Notice, plain or async; what it returns does not matter."""


def checked_handler(handler: Handler) -> Handler:
    """The handler, before a group is joined: one that cannot be called would make every entry a dead letter.

    Raises:
        SettingsError: it cannot be called with one argument, or a call would not run it.
    """
    if not callable(handler):
        raise _refused(handler, "it is not callable")
    if _yields(handler):
        raise _refused(handler, "it yields, so a call does not run it")
    try:
        signature = inspect.signature(handler)
    except ValueError:
        # Some functions written in C do not tell.
        return handler
    try:
        signature.bind(None)
    except TypeError:
        raise _refused(handler, f"it takes {signature}") from None
    return handler


def check_result(result: object) -> None:
    """What a call returned, and awaiting it gave: the body of a generator has not run, and nobody will run it.

    Raises:
        TypeError: it is a generator.
    """
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise TypeError(
            f"the call returned the generator {result.__qualname__[:80]}, which does nothing until it is iterated"
        )


def _yields(handler: Any) -> bool:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return any(
        inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one)
        for one in (handler, type(handler).__call__)
    )


def _refused(handler: object, why: str) -> SettingsError:
    name = str(getattr(handler, "__qualname__", None) or repr(handler))
    return SettingsError(
        f"{name[:80]} is no handler, {why[:120]}; nothing was read: give a function of one argument, a Message or a"
        " Notice"
    )
