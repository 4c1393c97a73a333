"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from marketdata.entries import Entry, EntryId
from marketdata.keys import Keys
from tests.redis_server import PrivateRedis

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
KEYS = [Keys().book(7, "0x" + "a" * 64), Keys().book(8, "0x" + "b" * 64)]
ENTRIES = 250


def _fill(server: PrivateRedis) -> None:
    with server.client() as client:
        for n in range(ENTRIES):
            entry = Entry("top", n % 2, "0.4", "10", "0.5", "7", 1, 1_000_000 + n, 1, n // 2 + 1, 0, "")
            client.xadd(KEYS[n % 2], entry.to_fields(), id=str(EntryId(1_000 + n, 0)))  # type: ignore[arg-type]


def test_the_ten_lines_of_python_read_everything_once_and_end(tmp_path: Path) -> None:
    source = re.search(r"<!-- reader\.py -->\n```python\n(.*?)```", README, re.DOTALL)
    assert source, "the README shows a reader"
    reader = tmp_path / "reader.py"
    reader.write_text(source[1], encoding="utf-8")

    with PrivateRedis() as server:
        _fill(server)
        first, second = (
            subprocess.run(
                [sys.executable, str(reader), server.url],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            for _ in range(2)
        )
        with server.client() as client:
            pending = [client.xpending(key, "mygroup")["pending"] for key in KEYS]

    lines = first.stdout.splitlines()
    assert len(lines) == ENTRIES
    assert all(re.fullmatch(r"\d+-0 book:\{0[78]\}:0x[ab]{64} top [01] 0\.4 0\.5", line) for line in lines)
    assert second.stdout == "", "all was acknowledged"
    assert pending == [0, 0]


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
