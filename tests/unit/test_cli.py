"""The command line as a user meets it: help, hints, exit codes, and every way to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bookstream import cli
from bookstream.commands import SUMMARIES
from bookstream.facts import facts_of
from bookstream.settings import MODELS
from marketdata.errors import (
    CaptureError,
    ContractError,
    PartitionsError,
    RedisAwayError,
    SettingsError,
)

ROOT = Path(__file__).parents[2]
BOUND_S = 30


def run(*argv: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bookstream", *argv],
        check=False,
        cwd=folder or ROOT / "tests",
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
    )


def start(code: str, **streams: int) -> subprocess.Popen[str]:
    """A process that runs the Python code, with our packages to import."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams),  # type: ignore[call-overload]
    )


# Help


def test_the_overview_lists_every_command_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--help"], ["-h"], ["help"]):
        assert cli.main(argv) == 0
        shown = capsys.readouterr().out
        for name, summary in SUMMARIES.items():
            assert any(line.split(None, 1) == [name, summary] for line in shown.splitlines()), name
    assert set(MODELS) <= set(SUMMARIES)


def test_the_overview_loads_no_library() -> None:
    code = (
        "import sys; from bookstream.cli import main; main(['--help']);"
        "print([name for name in ('pydantic', 'redis', 'aiohttp', 'rich') if name in sys.modules])"
    )
    with start(code) as process:
        assert process.communicate(timeout=BOUND_S)[0].splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", MODELS)
def test_the_help_of_a_command_names_every_setting(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for facts in facts_of(MODELS[command]).values():
        assert f" {facts.flag}" in shown
        assert facts.description in shown
        if facts.env:
            assert f"[{facts.env}; default {facts.default or 'empty'}" in shown
    assert cli.main(["help", command]) == 0
    assert " ".join(capsys.readouterr().out.split()) == shown


def test_the_version(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "1.2.3")
    monkeypatch.delitem(sys.modules, "bookstream.commands.version", raising=False)
    for argv in (["--version"], ["version"]):
        assert cli.main(argv) == 0
        assert capsys.readouterr().out == "bookstream 1.2.3\n"
    assert cli.main(["version", "x"]) == 2


def test_what_the_terminal_cannot_show_is_a_question_mark() -> None:
    code = (
        "import sys; from bookstream import cli; cli._dispatch = lambda argv: print('5 \\u20ac\\u2026') or 0;"
        "sys.exit(cli.main(['tail']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "5 ??\n", "")


# Mistakes


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["workr"], "bookstream: unknown command 'workr'; did you mean worker?"),
        (["zzz"], "bookstream: unknown command 'zzz'; see bookstream --help"),
        (
            ["--redis-url", "x"],
            "bookstream: --redis-url is no flag of bookstream itself; flags go after the command",
        ),
        (
            ["worker", "--max-market", "1"],
            "bookstream worker: unknown flag --max-market; did you mean --max-markets?",
        ),
        (
            ["worker", "--max-markets", "x"],
            "bookstream worker: --max-markets is 'x'; allowed: a whole number from 1",
        ),
        (["simulate"], "bookstream simulate: --synthetic or --capture FILE must be given"),
        (["config", "tial"], "bookstream config: no command 'tial' has settings; did you mean tail?"),
        (["config", "--max-markets", "1"], "bookstream config: flags go after the name of a command"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("a\nb"), 2),
        (CaptureError("a\nb"), 2),
        (ContractError("a\nb"), 1),
        (PartitionsError("a\nb"), 2),
        (RedisAwayError("a\nb"), 1),
    ],
)
def test_an_error_on_purpose_is_one_line(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_argv: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert cli.main(["verify"]) == code
    assert capsys.readouterr().err == "bookstream verify: a b\n"


def test_the_same_mistake_in_each_place(tmp_path: Path) -> None:
    rest = "is '900'; allowed: a number above 0, up to 55\n"
    flag = run("worker", "--ping-interval-s", "900", folder=tmp_path)
    assert (flag.returncode, flag.stderr) == (2, f"bookstream worker: --ping-interval-s {rest}")
    variable = run("worker", folder=tmp_path, PING_INTERVAL_S="900")
    assert (variable.returncode, variable.stderr) == (
        2,
        f"bookstream worker: PING_INTERVAL_S (environment) {rest}",
    )
    (tmp_path / ".env").write_text("PING_INTERVAL_S=900\n")
    file = run("worker", folder=tmp_path)
    assert (file.returncode, file.stderr) == (2, f"bookstream worker: PING_INTERVAL_S (.env) {rest}")


# config


def test_config_says_what_is_in_force_and_why(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://me:hunter2@h:1/0\nPING_INTERVAL=3\n")
    done = run("config", "worker", "--json", "--max-markets", "7", folder=tmp_path, OPENS_PER_S="2.5")
    shown = json.loads(done.stdout)
    assert shown["REDIS_URL"] == {"value": "redis://me:***@h:1/0", "from": ".env"}
    assert shown["OPENS_PER_S"] == {"value": 2.5, "from": "environment"}
    assert shown["MAX_MARKETS"] == {"value": 7, "from": "flag"}
    assert shown["FILTER_TAG_IDS"] == {"value": [], "from": "default"}
    assert done.stderr == (
        "bookstream config: warning: PING_INTERVAL in .env is not read: no command knows it; "
        "did you mean PING_INTERVAL_S?\n"
    )
    table = run("config", "worker", folder=tmp_path, OPENS_PER_S="2.5").stdout
    lines = [line.split() for line in table.splitlines()]
    assert ["REDIS_URL", "redis://me:***@h:1/0", ".env"] in lines
    assert ["OPENS_PER_S", "2.5", "environment"] in lines
    assert "hunter2" not in table + done.stdout


def test_config_of_all_commands_shows_every_setting_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "--json"]) == 0
    every = {facts.env for model in MODELS.values() for facts in facts_of(model).values() if facts.env}
    assert set(json.loads(capsys.readouterr().out)) == every


# Ends

WAITING_BODY = """
import asyncio, sys
from bookstream import running

async def body(stop):
    print("ready", flush=True)
    await {wait}
    print("ended", flush=True)
    return 0

sys.modules["bookstream.commands.version"] = command = type(sys)("command")
command.main = lambda argv: running.run_body(body, stops_itself={stops_itself})
from bookstream.cli import main
sys.argv = ["bookstream", "version"]
sys.exit(main())
"""
HEEDS = WAITING_BODY.format(wait="stop.wait()", stops_itself=True)
IS_CANCELLED = WAITING_BODY.format(wait="asyncio.sleep(60)", stops_itself=False)
LOSES = """
async def loses(what):
    try:
        await what
    except asyncio.CancelledError:
        print("lost", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        print("heard", flush=True)

"""
LOSES_ONE = LOSES + WAITING_BODY.format(wait="loses(asyncio.sleep(60))", stops_itself=False)
LEAVES_ONE_BEHIND = (LOSES + WAITING_BODY.format(wait="stop.wait()", stops_itself=True)).replace(
    'print("ready"', 'body.left = asyncio.create_task(loses(asyncio.sleep(60))); print("ready"'
)
TIDIES_UP = WAITING_BODY.format(wait="asyncio.sleep(60)", stops_itself=False).replace(
    "    await asyncio.sleep(60)",
    """
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        print("in good order", flush=True)
""",
)
IS_DEAF = WAITING_BODY.format(wait="asyncio.sleep(60)", stops_itself=True)


@pytest.mark.parametrize(
    ("code", "number", "exit_code", "out"),
    [
        (HEEDS, signal.SIGINT, 130, "ended\n"),
        (HEEDS, signal.SIGTERM, 0, "ended\n"),
        (IS_CANCELLED, signal.SIGINT, 130, ""),
        (IS_CANCELLED, signal.SIGTERM, 143, ""),
        (LOSES_ONE, signal.SIGINT, 130, "lost\nheard\n"),
        (LOSES_ONE, signal.SIGTERM, 143, "lost\nheard\n"),
        (LEAVES_ONE_BEHIND, signal.SIGINT, 130, "ended\nlost\nheard\n"),
        (TIDIES_UP, signal.SIGTERM, 143, "in good order\n"),
    ],
)
def test_a_signal_ends_a_command_without_a_traceback(
    code: str, number: signal.Signals, exit_code: int, out: str
) -> None:
    with start(code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        rest = process.communicate(timeout=BOUND_S)
        assert (process.returncode, *rest) == (exit_code, out, "")


def test_a_second_ctrl_c_ends_a_command_that_does_not_stop() -> None:
    # Two signals sent at once may arrive as one, so the first one is waited for.
    code = IS_DEAF.replace(
        "await asyncio.sleep(60)", "await stop.wait(); print('asked', flush=True); await asyncio.sleep(60)"
    )
    with start(code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=BOUND_S)
        assert (process.returncode, *rest) == (130, "", "bookstream: ended at once, unfinished\n")


def test_a_second_sigterm_cuts_no_good_end_short() -> None:
    code = HEEDS.replace(
        "await stop.wait()", "await stop.wait(); print('asked', flush=True); await asyncio.sleep(0.5)"
    )
    with start(code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=BOUND_S)
        assert (process.returncode, *rest) == (0, "ended\n", "")


def test_ctrl_c_while_libraries_are_loaded_leaves_no_traceback() -> None:
    code = """
import sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "bookstream.commands.config":
            print("ready", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
from bookstream.cli import main
sys.argv = ["bookstream", "config"]
sys.exit(main())
"""
    with start(code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=BOUND_S)
        assert (process.returncode, *rest) == (130, "", "")


@pytest.mark.parametrize("argv", [["worker", "--help"], ["config"], ["--help"]])
def test_nobody_reading_the_output_is_a_quiet_end(argv: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code = (
        f"import sys; from bookstream.cli import main; sys.argv = ['bookstream', *{argv!r}]; sys.exit(main())"
    )
    try:
        with start(code, stdout=writer) as process:
            err = process.communicate(timeout=BOUND_S)[1]
            assert (process.returncode, err) == (141, "")
    finally:
        os.close(writer)


def test_head_ends_a_command_that_goes_on_printing() -> None:
    endless = "async def endless():\n    while True:\n        await asyncio.sleep(0, print('x' * 1000))\n\n"
    code = endless + WAITING_BODY.format(wait="endless()", stops_itself=False)
    with start(code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(BOUND_S) == 141


def test_a_broken_socket_is_not_taken_for_a_closed_output(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_argv: list[str]) -> int:
        raise BrokenPipeError("a socket")

    monkeypatch.setattr(cli, "_dispatch", break_down)
    monkeypatch.setattr(cli, "_output_is_closed", lambda: False)
    with pytest.raises(BrokenPipeError, match="a socket"):
        cli.main(["version"])
