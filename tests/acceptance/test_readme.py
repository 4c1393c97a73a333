"""What the README shows works as it stands there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from marketdata.entries import Entry, EntryId
from marketdata.keys import Keys
from tests.redis_server import PrivateRedis

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
KEYS = [Keys().book(7, "0x" + "a" * 64), Keys().book(8, "0x" + "b" * 64)]
ENTRIES = 250


def _fill(server: PrivateRedis, first_ms: int = 1_000, count: int = ENTRIES) -> None:
    with server.client() as client:
        for n in range(count):
            entry = Entry("top", n % 2, "0.4", "10", "0.5", "7", 1, 1_000_000 + n, 1, n // 2 + 1, 0, "")
            client.xadd(KEYS[n % 2], entry.to_fields(), id=str(EntryId(first_ms + n, 0)))  # type: ignore[arg-type]


def test_the_ten_lines_of_python_read_everything_once_and_stop(tmp_path: Path) -> None:
    source = re.search(r"<!-- reader\.py -->\n```python\n(.*?)```", README, re.DOTALL)
    assert source, "the README shows a reader"
    assert len([line for line in source[1].splitlines() if line]) <= 10
    reader = tmp_path / "reader.py"
    reader.write_text(source[1], encoding="utf-8")

    with PrivateRedis() as server:
        _fill(server)
        first = _read(reader, server, ENTRIES)
        _fill(server, 2_000, 10)
        second = _read(reader, server, 10)
        with server.client() as client:
            pending = [client.xpending(key, "mine")["pending"] for key in KEYS]

    assert all(re.fullmatch(r"\d+-0 0x[ab]{64} outcome [01] top 0\.4 0\.5", line) for line in first + second)
    assert len(set(first)) == ENTRIES
    assert not set(first) & set(second), "all was acknowledged"
    assert pending == [0, 0]


def _read(reader: Path, server: PrivateRedis, count: int) -> list[str]:
    """The lines of a run that is told to stop once it has printed so many."""
    process = subprocess.Popen(
        [sys.executable, "-u", str(reader)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "REDIS_URL": server.url, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with process:
        assert process.stdout is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        lines = [process.stdout.readline().rstrip("\n") for _ in range(count)]
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
        watchdog.cancel()
    assert rest == ""
    assert process.returncode == 0
    return lines


@pytest.mark.needs_redis
def test_the_lines_for_redis_cli_read_a_stream_as_a_group() -> None:
    block = re.search(r"```\n(SOCKET=.*?)```", README, re.DOTALL)
    assert block, "the README shows redis-cli"
    with PrivateRedis() as server:
        _fill(server)
        script = re.sub(r"^SOCKET=.*$", f"SOCKET={server.socket_path}", block[1], flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
    assert "OK" in done.stdout.splitlines()
    assert done.stdout.split().count("kind") == 10, "ten entries were read"
