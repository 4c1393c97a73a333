"""Thin socket shells around protocol.py, one a SOCKET_MODE. They move bytes and decide nothing."""
