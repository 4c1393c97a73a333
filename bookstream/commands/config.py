"""`bookstream config`."""

from __future__ import annotations

from collections.abc import Sequence

from bookstream.config_command import show


def main(argv: Sequence[str]) -> int:
    """Shows the settings in force; returns the exit code."""
    return show(argv)
