"""Thin socket shells around protocol.py, one a SOCKET_MODE. They move bytes and decide nothing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from marketdata.logs import get_logger
from worker.sockets.base import Connector
from worker.sockets.python import connect_python


def connector_of(mode: Literal["python", "native"]) -> Connector:
    """The implementation behind a SOCKET_MODE; `python` with a warning where the native extra is missing."""
    if mode == "native":
        if find_spec("picows") is not None:
            from worker.sockets.native import connect_native

            return connect_native
        get_logger("sockets").warning(
            "SOCKET_MODE=native needs the native extra (pip install 'bookstream[native]'); using python"
        )
    return connect_python
