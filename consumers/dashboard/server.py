"""From Redis' INFO to the two or three facts that matter here (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.dashboard.reading import Server


def server_facts(info: Mapping[str, Any]) -> Server:
    """Reads the reply of INFO, of Redis 6 to Valkey 9."""
    return Server(
        used_bytes=int(info.get("used_memory", 0)),
        max_bytes=int(info.get("maxmemory", 0)),
        refuses_when_full=info.get("maxmemory_policy", "noeviction") == "noeviction",
        trouble=_trouble(info),
        version=f"{info.get('server_name', 'redis')} {info.get('valkey_version', info.get('redis_version', '?'))}",
    )


def _trouble(info: Mapping[str, Any]) -> str:
    if info.get("loading"):
        return "it loads its data"
    if info.get("role") == "slave":
        return "it is a replica"
    if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
        return "it cannot write its append-only file"
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        return "its last snapshot failed"
    return ""
