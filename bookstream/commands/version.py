"""`bookstream version`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from marketdata.errors import SettingsError


def main(argv: Sequence[str]) -> int:
    """Prints the version; returns the exit code."""
    if argv and argv[0] in ("-h", "--help"):
        print("usage: bookstream version\n\nPrints the version.")
        return 0
    if argv:
        raise SettingsError(f"bookstream version takes no arguments, not {argv[0][:60]!r}")
    print(f"bookstream {version('bookstream')}")
    return 0
