"""compose.yaml on a real engine: entries flow, what is killed comes back, and an end is an end.

One project for all tests, in the order of a day: each leaves it running for the next one, the last ends it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from bookstream import cli
from marketdata.clock import now_ms
from marketdata.entries import EntryId
from tests.acceptance.compose_project import ComposeProject, until

pytestmark = [pytest.mark.needs_docker, pytest.mark.timeout(240)]

WORKER = "worker-simulated"
HEALTHY_S = 60.0
TAKEN_OVER_S = 40.0
"""A lease of 5 s, and a busy machine that also runs all other tests."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    project = ComposeProject(tmp_path_factory.mktemp("checkout"), "simulated", "ui")
    try:
        began_s = time.monotonic()
        project.compose("build")
        built_s = time.monotonic()
        project.compose("up", "-d", "--scale", f"{WORKER}=2")
        print(f"built in {built_s - began_s:.1f} s, started in {time.monotonic() - built_s:.1f} s")
        yield project
    finally:
        project.remove()
    assert project.left() == [], "all that was started is gone"


def all_is_well(project: ComposeProject) -> bool:
    """Every container is healthy, one worker writes, the other stands by."""
    containers = [one for service in ("redis", "simulator", WORKER) for one in project.containers(service)]
    return (
        len(containers) == 4
        and all(project.health(one) == "healthy" for one in containers)
        and len(project.words("running")) == len(project.words("standby")) == 1
    )


def entries_flow(project: ComposeProject) -> None:
    before = project.entries()
    until(lambda: project.entries() > before + 100, 20, project.story)


def newest(project: ComposeProject) -> EntryId:
    return max(map(EntryId.parse, project.last_ids().values()))


def verify_is_clean(project: ComposeProject, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["verify", "--redis-url", project.url]) == 0
    said = capsys.readouterr().out
    # Short markets end meanwhile, and others follow them.
    assert int(said.removeprefix("clean: ").split(" ")[0]) >= 60
    return said


def test_entries_flow_one_worker_writes_and_the_other_stands_by(
    project: ComposeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    took_s = until(lambda: all_is_well(project), HEALTHY_S, project.story)
    entries_flow(project)
    (tail,) = project.containers("tail")
    until(lambda: " top " in project.docker("logs", "--tail", "50", tail), 20, project.story)
    assert project.containers("worker") == [], "nobody asked for the live venue"
    verify_is_clean(project, capsys)
    with capsys.disabled():
        print(f"\n  all healthy after {took_s:.1f} s; {project.entries()} entries so far")


def test_containers_can_do_no_more_than_they_need(project: ComposeProject) -> None:
    for container in [*project.containers(WORKER), *project.containers("simulator")]:
        shell = ("exec", container, "sh", "-c")
        assert project.docker(*shell, "id -u").strip() == "10001"
        assert "read-only" in project.docker(*shell, "touch /opt/bookstream/x 2>&1 || true").lower()
        assert project.docker(*shell, "grep CapEff: /proc/self/status").split()[1].strip("0") == ""
        assert not project.has_a_way_out(container), "a simulation cannot meet the venue itself"
    (server,) = project.containers("redis")
    assert project.docker("port", server).startswith("6379/tcp -> 127.0.0.1:")
    assert len(project.docker("port", server).splitlines()) == 1


def test_a_killed_worker_is_replaced_and_comes_back_to_stand_by(
    project: ComposeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    (writer,), (waiting,) = project.words("running"), project.words("standby")
    hosts = {writer.host, waiting.host}
    started_at = project.started_at(writer.host)
    project.kill9(writer.host)
    took_s = until(
        lambda: [word.worker != writer.worker for word in project.words("running")] == [True],
        TAKEN_OVER_S,
        project.story,
    )
    entries_flow(project)
    # An engine that is quick starts it anew before its leases run out; then either of the two may take them.
    until(
        lambda: {word.host for word in (*project.words("running"), *project.words("standby"))} == hosts,
        30,
        project.story,
    )
    assert len(project.words("running")) == 1
    assert project.started_at(writer.host) > started_at, "it was started anew"
    until(lambda: all_is_well(project), HEALTHY_S, project.story)
    said = verify_is_clean(project, capsys)
    with capsys.disabled():
        print(f"\n  another worker wrote {took_s:.1f} s after kill -9; {said.strip()}")


def test_a_killed_redis_comes_back_with_its_data(
    project: ComposeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    (server,) = project.containers("redis")
    started_at, before = project.started_at(server), project.last_ids()
    assert len(before) >= 60
    project.kill9(server)
    killed = EntryId(now_ms(), 0)
    took_s = until(lambda: newest(project) > killed, 40, project.story)
    assert project.started_at(server) > started_at, "it was started anew"
    with project.redis() as client:
        kept = {key: client.xrange(key, entry_id, entry_id) for key, entry_id in before.items()}
    assert all(kept.values()), "every entry seen before is still there"
    entries_flow(project)
    now = project.last_ids()
    assert all(EntryId.parse(now[key]) >= EntryId.parse(before[key]) for key in before)
    until(lambda: all_is_well(project), HEALTHY_S, project.story)
    said = verify_is_clean(project, capsys)
    with capsys.disabled():
        print(f"\n  entries came again {took_s:.1f} s after Redis was killed; {said.strip()}")


def test_down_ends_all_of_it_within_ten_seconds_and_keeps_the_data(
    project: ComposeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = project.entries()
    began_s = time.monotonic()
    project.compose("down")
    took_s = time.monotonic() - began_s
    assert took_s < 10
    assert project.docker("ps", "--all", "--quiet", "--filter", f"name={project.name}") == ""

    project.compose("up", "-d")
    until(lambda: len(project.words("running")) == 1, 60, project.story)
    assert project.entries() >= entries
    assert cli.main(["verify", "--redis-url", project.url]) == 0
    assert re.search(r"shutdown [6-9]\d", capsys.readouterr().out), (
        "the writer marked its end in every stream"
    )
    with capsys.disabled():
        print(f"\n  down took {took_s:.1f} s; {entries} entries were there again")
