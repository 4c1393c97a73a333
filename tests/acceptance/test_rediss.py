"""A password and TLS in front of a stock Redis server: everything works the same over `rediss://`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

START_S = 10.0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(certificate)),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    port = _free_port()
    server = subprocess.Popen(
        [
            *("redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1"),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"),
            *("--save", "", "--requirepass", "secret", "--dir", str(tmp_path)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, "redis-server ended"
            assert time.monotonic() < deadline, "redis-server does not listen"
            time.sleep(0.02)
        yield f"rediss://:secret@127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    finally:
        server.kill()
        server.wait()


@pytest.mark.needs_redis
def test_a_run_over_tls_is_well_and_its_password_stays_out_of_the_logs(url: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bookstream", "up", "--venue", "simulated", "--headless"),
            *("--duration-s", "5", "--redis-url", url),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    summary = orjson.loads(done.stdout)
    assert summary["ok"], done.stderr
    assert summary["entries"] > 0
    assert done.returncode == 0
    assert "secret" not in done.stderr
