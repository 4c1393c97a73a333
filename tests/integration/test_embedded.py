"""The embedded server with real processes: whoever is killed, data stays and no process does."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from marketdata.embedded import EmbeddedServer
from marketdata.embedded import server as embedded_server
from marketdata.embedded.child import ServerChild
from marketdata.embedded.locks import numbers_in
from marketdata.errors import EmbeddedServerError
from marketdata.redis_url import redis_session, where, where_note

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

ROOT = Path(__file__).parents[2]
BOUND_S = 20.0

# A command that uses the server: says when it has it, and ends when its standard input does.
USER = """
import select, sys
from marketdata.embedded import EmbeddedServer
server = EmbeddedServer.acquire(sys.argv[1])
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.1)[0]:
    server.ensure_guard()
"""

# A server whose guard is gone and which nobody told, as on a system without a parent-death signal.
LEFTOVER = """
import os, sys
from pathlib import Path
from marketdata.embedded.binary import server_binary
from marketdata.embedded.child import _options
from marketdata.embedded.folder import Folder
from marketdata.embedded.locks import FileLock
folder = Folder(Path(sys.argv[1]), os.getuid())
folder.create()
lock = FileLock(folder.server_lock)
assert lock.try_exclusive()
lock.write(f"{os.getpid()} 1\\n")
os.set_inheritable(lock.fd, True)
program = str(server_binary().path)
os.execv(program, [program, *_options(folder)])
"""

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], what: Callable[[], str] | str, bound_s: float = BOUND_S) -> Found:
    """Waits until `look` finds something."""
    deadline_s = time.monotonic() + bound_s
    while not (found := look()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {bound_s} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
    return found


class House:
    """A data folder, the processes that live in it, and the users that were started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.users: list[subprocess.Popen[str]] = []

    def server(self, name: str) -> EmbeddedServer:
        return EmbeddedServer.named(name)

    def start(self, name: str) -> subprocess.Popen[str]:
        user = subprocess.Popen(
            [sys.executable, "-c", USER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        self.users.append(user)
        return user

    def ready(self, user: subprocess.Popen[str]) -> subprocess.Popen[str]:
        assert user.stdout is not None
        line = user.stdout.readline()
        assert line == "ready\n", f"user {user.pid}: {line}{user.stdout.read()}"
        return user

    def user(self, name: str) -> subprocess.Popen[str]:
        return self.ready(self.start(name))

    def leave(self, user: subprocess.Popen[str]) -> None:
        user.communicate(timeout=BOUND_S)
        assert user.returncode == 0

    def pids(self, name: str) -> tuple[int, int]:
        """Guard and server, once the server answers and is that guard's."""
        server = self.server(name)
        until(server.is_up, lambda: f"{name} is up; {self.processes()}; {server.folder.log.read_text()}")
        server_pid, guard_pid = numbers_in(server.folder.server_lock)
        return guard_pid, server_pid

    def client(self, name: str) -> redis.Redis:
        path = str(self.server(name).socket_path)
        return redis.Redis(unix_socket_path=path, protocol=2, retry=Retry(NoBackoff(), 0))

    def processes(self) -> dict[int, str]:
        """Living processes with an argument, a working folder or an open file in the data folder."""
        found = {}
        ours = {os.getpid(), *(user.pid for user in self.users)}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) in ours:
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                places = [os.readlink(entry / "cwd"), *(os.readlink(one) for one in (entry / "fd").iterdir())]
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if any(str(self.path) in text for text in (command, *places)):
                found[int(entry.name)] = command
        return found

    def empty(self) -> None:
        """Waits until nothing lives in the folder."""
        until(lambda: not self.processes(), lambda: f"still there: {self.processes()}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(f"{path}:\n{path.read_text()}" for path in self.path.glob("embedded/*/log"))

    def close(self) -> None:
        for user in self.users:
            user.kill()
            user.communicate()
        # Tests that are about the end wait for it; after the others it may come sooner than the grace time.
        for pid, command in self.processes().items():
            if "marketdata.embedded.guard" in command:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        try:
            self.empty()
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.path, ignore_errors=True)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    path = Path(tempfile.mkdtemp(prefix="bs-house-"))
    monkeypatch.setenv("BOOKSTREAM_DATA_DIR", str(path))
    house = House(path)
    yield house
    house.close()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def kill9(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_users_share_a_server_that_ends_after_the_last_and_keeps_its_data(house: House) -> None:
    first, second = house.start("demo"), house.start("demo")
    house.ready(first), house.ready(second)
    guard, server = house.pids("demo")
    assert set(house.processes()) == {guard, server}
    with house.client("demo") as client:
        client.xadd("stream", {"field": "value"}, id="5-1")
        config = client.config_get("maxmemory", "maxmemory-policy", "appendfsync", "port", "save")
        assert config == {
            "maxmemory": "1073741824",
            "maxmemory-policy": "noeviction",
            "appendfsync": "everysec",
            "port": "0",
            "save": "",
        }
    house.leave(first)
    guard_log = house.server("demo").folder.log
    # The grace time would be over long before the second user leaves.
    until(lambda: time.time() - guard_log.stat().st_mtime > 2.5, "two and a half quiet seconds")
    assert house.pids("demo") == (guard, server)
    house.leave(second)
    house.empty()
    assert "nobody uses the server any more" in house.logs()
    house.user("demo")
    with house.client("demo") as client:
        assert client.xrange("stream") == [(b"5-1", {b"field": b"value"})]


def test_twenty_users_at_once_get_one_server(house: House) -> None:
    users = [house.start("demo") for _ in range(20)]
    for user in users:
        house.ready(user)
    assert set(house.processes()) == set(house.pids("demo")), house.logs()
    assert house.logs().count(" guards ") == 1
    kill9(*(user.pid for user in users))
    for user in users:
        user.wait()
    house.empty()


@pytest.mark.parametrize("victims", ["server", "guard", "both"])
def test_what_was_killed_comes_back_with_its_data(house: House, victims: str) -> None:
    user = house.user("demo")
    with house.client("demo") as client:
        for n in range(1000):
            client.xadd("stream", {"n": n}, id=f"{n + 1}-0")
    guard, server = house.pids("demo")
    kill9(*{"server": [server], "guard": [guard], "both": [guard, server]}[victims])
    new_guard, new_server = until(
        lambda: house.pids("demo") if house.pids("demo") != (guard, server) else None, house.logs
    )
    assert new_server != server
    assert (new_guard == guard) == (victims == "server")
    with house.client("demo") as client:
        assert client.xlen("stream") == 1000
    until(lambda: set(house.processes()) == {new_guard, new_server}, lambda: str(house.processes()))
    house.leave(user)
    house.empty()


def test_nothing_stays_in_whatever_order_they_are_killed(house: House) -> None:
    every = (itertools.permutations(("user", "guard", "server"), count) for count in (1, 2, 3))
    names = {"-".join(order): order for order in itertools.chain(*every) if "user" in order}
    assert len(names) == 11
    users = {name: house.start(name) for name in names}
    pids: dict[str, dict[str, int]] = {}
    for name, user in users.items():
        house.ready(user)
        guard, server = house.pids(name)
        pids[name] = {"user": user.pid, "guard": guard, "server": server}
    for name, order in names.items():
        for who in order:
            # A server whose guard was killed first may have ended already.
            if pids[name][who] in house.processes() or who == "user":
                kill9(pids[name][who])
    for user in users.values():
        user.wait()
    house.empty()
    # The folders are as good as before.
    house.user("user-guard-server")


def test_a_guard_that_is_told_to_end_comes_back_while_there_are_users(house: House) -> None:
    house.user("demo")
    guard, server = house.pids("demo")
    os.kill(guard, signal.SIGTERM)
    until(lambda: not {guard, server} & set(house.processes()), house.logs)
    assert house.pids("demo")[0] != guard


def test_who_comes_while_the_server_is_shut_down_gets_a_new_one(house: House) -> None:
    first = house.user("demo")
    with house.client("demo") as client:
        client.set("key", "value")
    guard, server = house.pids("demo")
    os.kill(server, signal.SIGSTOP)  # so that the shutdown takes as long as this test wants
    house.leave(first)
    until(lambda: "nobody uses the server any more" in house.logs(), house.logs)
    newcomer = EmbeddedServer.named("demo")
    assert not newcomer.try_ready()
    second = house.start("demo")
    os.kill(server, signal.SIGCONT)
    house.ready(second)
    assert not {guard, server} & set(house.pids("demo"))
    newcomer.release()
    with house.client("demo") as client:
        assert client.get("key") == b"value"


def test_a_server_without_a_guard_is_stopped_and_replaced(house: House) -> None:
    folder = house.server("demo").folder
    leftover = subprocess.Popen(
        [sys.executable, "-c", LEFTOVER, str(folder.path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    with house.client("demo") as client:
        until(lambda: answers(client), "the leftover server answers")
        client.set("key", "value")
    user = house.user("demo")
    assert leftover.wait(BOUND_S) == 0
    assert leftover.pid not in house.pids("demo")
    assert f"a server of an earlier guard, pid {leftover.pid}" in house.logs()
    with house.client("demo") as client:
        assert client.get("key") == b"value"
    house.leave(user)


def test_a_removed_folder_takes_guard_and_server_along(house: House) -> None:
    house.user("demo")
    house.pids("demo")
    there = house.processes()
    shutil.rmtree(house.server("demo").folder.path)
    until(lambda: not set(there) & set(house.processes()), lambda: str(house.processes()))


def test_a_server_that_does_not_start_is_explained(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_server, "START_TIMEOUT_S", 2.0)
    folder = house.server("demo").folder
    folder.create()
    (folder.path / "appendonlydir").mkdir()
    (folder.path / "appendonlydir" / "appendonly.aof.manifest").write_text("this is no manifest\n")
    with pytest.raises(EmbeddedServerError) as refused:
        EmbeddedServer.acquire("demo")
    message = str(refused.value)
    assert "\n" not in message
    assert "does not answer; its data is kept" in message
    assert "manifest" in message
    house.empty()


def test_a_deep_data_folder_has_its_socket_elsewhere(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKSTREAM_DATA_DIR", str(house.path / ("deep" * 25)))
    server = EmbeddedServer.acquire("demo")
    assert not server.socket_path.is_relative_to(house.path)
    assert house.client("demo").ping()
    server.release()
    house.empty()
    assert not server.socket_path.exists()


def test_a_stubborn_server_is_killed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketdata.embedded.child.STOP_TIMEOUT_S", 0.5)
    server = house.server("demo")
    server.folder.create()
    lines: list[str] = []
    child = ServerChild(server.folder, server._binary.path, lines.append)
    child.start()
    [pid] = set(house.processes())
    with house.client("demo") as client:
        until(lambda: answers(client), "the server answers")
    os.kill(pid, signal.SIGSTOP)
    child.stop()
    assert "it is killed" in lines[-1]
    assert pid not in house.processes()


async def test_a_session_outlives_the_death_of_guard_and_server(house: House) -> None:
    url = "embedded://demo"
    lines: list[str] = []
    assert "is not up" in where_note(url)
    async with redis_session(url, client_name="test", log=lines.append, ensure_every_s=0.1) as session:
        assert session.target.url == where(url)
        assert session.server is not None
        assert "is up" in where_note(url)
        await session.client.set("key", "value")
        guard, server = (
            numbers_in(session.server.folder.guard_lock)[0],
            int((await session.client.info("server"))["process_id"]),
        )
        kill9(guard, server)
        async with asyncio.timeout(BOUND_S):
            while True:
                try:
                    assert await session.client.get("key") == b"value"
                    break
                except redis.ConnectionError:
                    await asyncio.sleep(0.02)
        assert await session.new_client().get("key") == b"value"
    assert lines == []
    house.empty()
