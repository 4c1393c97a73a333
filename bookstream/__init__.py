"""The command line and the names that users import.

Imports all other packages; nothing imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bookstream.reading import run_group as run_group
    from marketdata.entries import Entry as Entry
    from marketdata.entries import EntryId as EntryId
    from marketdata.errors import BookstreamError as BookstreamError
    from marketdata.groups import Batch as Batch
    from marketdata.groups import Clock as Clock
    from marketdata.groups import Group as Group
    from marketdata.groups import Lost as Lost
    from marketdata.groups import Message as Message
    from marketdata.groups import Notice as Notice
    from marketdata.groups import Partition as Partition
    from marketdata.groups import Silent as Silent
    from marketdata.market import Market as Market

_HOMES: Final = {
    "Batch": "marketdata.groups",
    "BookstreamError": "marketdata.errors",
    "Clock": "marketdata.groups",
    "Entry": "marketdata.entries",
    "EntryId": "marketdata.entries",
    "Group": "marketdata.groups",
    "Lost": "marketdata.groups",
    "Market": "marketdata.market",
    "Message": "marketdata.groups",
    "Notice": "marketdata.groups",
    "Partition": "marketdata.groups",
    "Silent": "marketdata.groups",
    "run_group": "bookstream.reading",
}
__all__ = [  # noqa: PLE0604  (names that are found when they are asked for)
    *_HOMES
]


def __getattr__(name: str) -> Any:
    # The command line must start quickly, so nothing is imported before it is asked for.
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
