"""The log of a guard and its server: one file, bounded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 1_000_000


def bound(path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Moves the text of a log that grew too long to a file beside it, named `.1`.

    Its writers append, so they go on at the start of the emptied file.
    """
    if path.exists() and path.stat().st_size > limit_bytes:
        shutil.copyfile(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


def last_lines(path: Path, count: int = 5) -> list[str]:
    """The last lines of the log, each at most 300 characters; none where there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8192))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip()[:300] for line in text.splitlines() if line.strip()][-count:]
