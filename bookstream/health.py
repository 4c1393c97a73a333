"""Whether a worker is well, by what it last said of itself in Redis: for the healthcheck of its container."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import redis

from bookstream.settings import HealthSettings
from consumers.workers import WorkerWord, read_workers
from marketdata.clock import now_ms
from marketdata.keys import Keys
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from marketdata.redis_url import where

WELL: Final = ("running", "standby")
REDIS_TIMEOUT_S: Final = 3.0
"""Whoever asks has a timeout of their own and learns more from our line than from theirs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the worker is well, and one line about it."""

    well: bool
    line: str


def judge(words: Iterable[WorkerWord], *, host: str, worker: str, now_ms: int, max_age_s: float) -> Verdict:
    """Judges one worker by its newest word.

    Args:
        words: of all workers.
        host: whose worker is meant, where several are there the one that started last.
        worker: its name; if given, the host does not matter.
        now_ms: Unix milliseconds, by the clock of the worker's machine.
        max_age_s: a worker that was silent for longer is not well.
    """
    meant = [word for word in words if (word.worker == worker if worker else word.host == host)]
    if not meant:
        whom = f"worker {worker}" if worker else f"a worker on {host}"
        return Verdict(False, f"Redis knows nothing of {whom}: it did not start yet, or is gone")
    word = max(meant, key=lambda word: (word.started_ms, word.now_ms))
    age_s = max(0, now_ms - word.now_ms) / 1000
    if age_s > max_age_s:
        return Verdict(False, f"worker {word.worker} was {word.state}, but is silent for {age_s:.1f} s")
    doing = f"{word.state}, {word.waits_for}" if word.waits_for else word.state
    return Verdict(
        word.state in WELL,
        f"worker {word.worker} is {doing}; it writes {word.partitions} of {word.partitions_total} partitions, "
        f"{word.tokens_live} of {word.tokens} tokens are live",
    )


async def look(settings: HealthSettings) -> Verdict:
    """Reads what workers say and judges the one that is meant. Starts no embedded server, waits for none.

    Raises:
        EmbeddedServerError: there is no server program to ask where it would be.
    """
    target = RedisTarget.parse(where(settings.redis_url))
    client = open_redis(
        target,
        client_name="bookstream-health",
        socket_timeout_s=REDIS_TIMEOUT_S,
        connect_timeout_s=REDIS_TIMEOUT_S,
    )
    try:
        words = await read_workers(client, Keys(settings.key_prefix))
    except redis.RedisError as error:
        reason = " ".join(str(error).split())[:200]
        return Verdict(False, f"Redis at {target.masked} cannot be asked ({type(error).__name__}: {reason})")
    finally:
        await client.aclose()
    return judge(
        words,
        host=socket.gethostname(),
        worker=settings.worker,
        now_ms=now_ms(),
        max_age_s=settings.max_age_s,
    )
