"""Text of strangers, made fit for a terminal, and times in few characters (pure)."""

from datetime import UTC, datetime


def shown(text: str, width: int) -> str:
    """At most `width` characters, all printable: nothing in a question may move the cursor."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if len(plain) <= width else plain[: max(width - 1, 0)] + "…"


def escaped(text: str) -> str:
    """All of it on one line: what would move the cursor is written as in Python, a line break as "\\n"."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def age(seconds: float) -> str:
    """A time span in at most six characters: "3ms", "1.2s", "41s", "7m", "2h", "3d"."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    for unit, size, limit in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 86_400:.0f}d"


def utc(ms: int) -> str:
    """Unix milliseconds as "2026-01-31 12:00:05Z"."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
