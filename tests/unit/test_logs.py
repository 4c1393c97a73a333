"""Log lines are for people or for programs, with a UTC time to the millisecond, and never raise."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from marketdata.logs import configure_logs, get_logger


def test_json_lines() -> None:
    out = io.StringIO()
    log = get_logger("worker")
    configure_logs("info", "json", out)
    log.debug("too small to tell")
    log.info("connected", tokens=50, odd=object)
    (line,) = out.getvalue().splitlines()
    said = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said.pop("timestamp"))
    assert said == {
        "logger": "worker",
        "level": "info",
        "event": "connected",
        "tokens": 50,
        "odd": repr(object),
    }


def test_lines_for_people_have_no_colours_off_a_terminal() -> None:
    out = io.StringIO()
    configure_logs("debug", "console", out)
    get_logger("worker").debug("connected", tokens=50)
    (line,) = out.getvalue().splitlines()
    assert re.fullmatch(r"\S+Z \[debug\s*\] connected\s+\[worker\] tokens=50", line)


@pytest.mark.parametrize("form", ["console", "json"])
def test_messages_of_libraries_take_the_same_form(form: str) -> None:
    out = io.StringIO()
    configure_logs("info", "json" if form == "json" else "console", out)
    library = logging.getLogger("websockets.client")
    library.info("chatter")
    library.warning("frame of %d bytes", 9)
    (line,) = out.getvalue().splitlines()
    assert "frame of 9 bytes" in line
    assert "websockets.client" in line
    if form == "json":
        assert json.loads(line)["level"] == "warning"


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_local_variables(form: str) -> None:
    out = io.StringIO()
    configure_logs("info", "json" if form == "json" else "console", out)

    def connect(password: str) -> None:
        raise ConnectionError("away")

    try:
        connect("hunter" + "2")
    except ConnectionError:
        get_logger("worker").exception("cannot connect")
    assert "ConnectionError: away" in out.getvalue()
    assert "hunter2" not in out.getvalue()
