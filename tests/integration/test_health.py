"""`bookstream health` as a container calls it: an exit code, and one line."""

from __future__ import annotations

import socket
from collections.abc import Callable

import orjson
import pytest
import redis

from bookstream.cli import main
from marketdata.clock import now_ms
from marketdata.keys import Keys
from tests.redis_server import PrivateRedis


def speak(client: redis.Redis, keys: Keys, state: str) -> None:
    word = {"worker": "w1", "pid": 1, "host": socket.gethostname(), "started_ms": 1, "state": state}
    client.set(keys.worker("w1"), orjson.dumps(word | {"now_ms": now_ms()}))
    client.zadd(keys.workers, {"w1": now_ms()})


def test_the_exit_code_follows_what_the_worker_says(capsys: pytest.CaptureFixture[str]) -> None:
    with PrivateRedis() as server, server.client() as client:
        argv = ["health", "--redis-url", server.url, "--key-prefix", "p:"]
        assert main(argv) == 1
        assert "Redis knows nothing of a worker on" in capsys.readouterr().err

        speak(client, Keys("p:"), "standby")
        assert main(argv) == 0
        assert "worker w1 is standby" in capsys.readouterr().out

        speak(client, Keys("p:"), "stopped")
        assert main(argv) == 1
        assert main([*argv, "--worker", "w2"]) == 1
        assert "knows nothing of worker w2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "freeze", [PrivateRedis.kill9, PrivateRedis.pause], ids=["Redis is dead", "Redis is frozen"]
)
def test_a_redis_that_does_not_answer_is_not_well_and_not_waited_for(
    freeze: Callable[[PrivateRedis], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with PrivateRedis() as server:
        with server.client() as client:
            speak(client, Keys(), "running")
        assert main(["health", "--redis-url", server.url]) == 0
        freeze(server)
        began_ms = now_ms()
        assert main(["health", "--redis-url", server.url]) == 1
        assert now_ms() - began_ms < 8_000, "the healthcheck's own timeout would end it"
    assert "cannot be asked" in capsys.readouterr().err


def test_it_starts_no_embedded_server(
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path_factory.mktemp("d")
    monkeypatch.setenv("BOOKSTREAM_DATA_DIR", str(folder))
    assert main(["health", "--redis-url", "embedded://nobody"]) == 1
    assert "cannot be asked" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
