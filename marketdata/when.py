"""The type of a setting that names a point in time."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import AfterValidator

from marketdata.errors import SettingsError
from marketdata.times import parse_when


def _readable(text: str) -> str:
    try:
        parse_when(text, time.time_ns() // 1_000_000)
    except SettingsError as error:
        raise ValueError(str(error)) from None
    return text


When = Annotated[str, AfterValidator(_readable)]
"""Text that `parse_when` takes; it stays text, so that "2h" counts from when the command begins to read."""
