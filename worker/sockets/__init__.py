"""Thin socket shells around protocol.py, one a SOCKET_MODE. They move bytes and decide nothing."""

from __future__ import annotations

from typing import Literal

from worker.sockets.base import Connector
from worker.sockets.python import connect_python


def connector_of(mode: Literal["python", "native"]) -> Connector:
    """The implementation behind a SOCKET_MODE."""
    return connect_python
