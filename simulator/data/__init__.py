"""Recordings that come with the package; each is described in SOURCES.md."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def demo_recording() -> Path:
    """The constructed recording that `bookstream up --venue simulated` plays."""
    return Path(str(files(__name__) / "demo.jsonl.gz"))
