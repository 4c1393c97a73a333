"""What all tests share: no setting of this machine reaches them, and what could not run is said last."""

from __future__ import annotations

import faulthandler
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Mapping
from typing import Final

import hypothesis
import pytest
import structlog

from bookstream.facts import facts_of
from bookstream.settings import MODELS
from marketdata.settings import CommandSettings


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    compose = (
        ["docker-compose", "version"] if shutil.which("docker-compose") else ["docker", "compose", "version"]
    )
    try:
        return all(
            subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0
            for command in (["docker", "info"], compose)
        )
    except subprocess.TimeoutExpired:
        return False


TOOLS: Mapping[str, tuple[str, Callable[[], bool]]] = {
    "needs_redis": ("no redis-server on PATH", lambda: shutil.which("redis-server") is not None),
    "needs_tmux": ("no tmux on PATH", lambda: shutil.which("tmux") is not None),
    "needs_docker": ("no Docker engine with compose answers", _docker_answers),
}
NOT_RUN: Final = "not run"
"""Property of a test that a missing tool kept from running: it travels with the report, from whatever process."""

HAVE: pytest.StashKey[dict[str, bool]] = pytest.StashKey()

hypothesis.settings.register_profile("bookstream", print_blob=True, deadline=None)
hypothesis.settings.load_profile("bookstream")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[HAVE] = {}
    faulthandler.enable()
    # Processes that tests start inherit this one's environment.
    os.environ["PYTHONFAULTHANDLER"] = "1"
    for model in MODELS.values():
        # A developer's .env and variables are not the test's.
        for ancestor in model.__mro__:
            if issubclass(ancestor, CommandSettings):
                ancestor.model_config["env_file"] = None
        for facts in facts_of(model).values():
            os.environ.pop(facts.env, None)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Generator[None]:
    """A command that ran inside a test leaves its log lines pointed at a stream that pytest closes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def pytest_runtest_setup(item: pytest.Item) -> None:
    have = item.config.stash[HAVE]
    waived = os.environ.get("BOOKSTREAM_CI_WITHOUT", "").split(",")
    for marker, (reason, is_there) in TOOLS.items():
        if item.get_closest_marker(marker) is None:
            continue
        if marker not in have:
            have[marker] = is_there()
        if have[marker]:
            continue
        if _in_ci() and marker not in waived:
            pytest.fail(f"{marker}: {reason}, and CI must have it", pytrace=False)
        item.user_properties.append((NOT_RUN, reason))
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    yield
    not_run = [
        f"NOT RUN {report.nodeid}: {reason}"
        for report in terminalreporter.stats.get("skipped", ())
        for name, reason in report.user_properties
        if name == NOT_RUN
    ]
    if not_run:
        terminalreporter.section("not run")
        for line in not_run:
            terminalreporter.write_line(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        # One of several processes: the one that gathers all reports judges.
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = len(reporter.stats.get("passed", [])) if reporter is not None else 0
    if _in_ci() and not session.config.option.collectonly and passed == 0 and session.exitstatus == 0:
        # A run in which all was skipped proves nothing.
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
