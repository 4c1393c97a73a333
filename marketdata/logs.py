"""Log lines: on stderr, stamped in UTC to the millisecond, for people or as one JSON object a line.

Messages of libraries (from warnings up) take the same form as ours.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

_LIBRARY_LEVEL: Final = logging.WARNING


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines say `name`; what else a line says are keyword arguments of the call."""
    return cast(FilteringBoundLogger, structlog.get_logger(logger_name=name))


def configure_logs(
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["console", "json"],
    stream: TextIO | None = None,
) -> None:
    """Sets how log lines look from now on, for the whole process.

    Args:
        level: the least important lines that are shown.
        form: lines for people (coloured on a terminal unless NO_COLOR is set), or JSON.
        stream: stderr if not given.
    """
    out = stream if stream is not None else sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _name_logger,
        _stamp,
    ]
    finish: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_to_json)]
        if form == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty() and not os.environ.get("NO_COLOR"),
                pad_event_to=0,
                sort_keys=False,
                # The rich form shows local variables, and so passwords.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, _LIBRARY_LEVEL))


def _stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _name_logger(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event["logger"] = record.name
    elif "logger_name" in event:
        # structlog keeps the word "logger" to itself where a logger is made.
        event["logger"] = event.pop("logger_name")
    return event


def _to_json(event: EventDict, **_options: Any) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
