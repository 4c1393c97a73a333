"""A worker as a process of its own that tells what it holds: tasks, memory, objects, files, stalls of its loop.

python -m tests.acceptance.watched_worker '{"settings": {…}, "retired_for_s": 2}'; a line on its stdin is a question,
a line of JSON on its stdout the answer.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import time
import tracemalloc
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from marketdata.logs import configure_logs
from worker import following, service
from worker.settings import WorkerSettings

PROBE_S: Final = 0.002
OURS: Final = ("worker.", "marketdata.")


@dataclass(frozen=True)
class Look:
    """What a worker held at one moment.

    Attributes:
        tasks: of its event loop.
        files: open file descriptors: sockets, pipes, files.
        traced: bytes that Python has allocated; 0 if that was not asked for.
        rss_kb: resident memory.
        objects: our own classes' instances by class; none of them was collected before it was counted.
        worst_stall_ms: the longest time since the look before in which the loop did one thing only, as far as it
            was the worker's own work.
        stalls: how many stalls there were of more than 5 ms.
        cpu_s: CPU time so far.
    """

    tasks: int
    files: int
    traced: int
    rss_kb: int
    objects: dict[str, int]
    worst_stall_ms: float
    stalls: int
    cpu_s: float


class WatchedWorker:
    """The other end of such a process."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @property
    def cpu_s(self) -> float:
        """CPU time so far, without asking the worker."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def look(self) -> Look:
        """Asks; takes as long as a full garbage collection."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"look\n")
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        assert line, "the worker ended"
        return Look(**orjson.loads(line))


@asynccontextmanager
async def watched_worker(
    settings: dict[str, Any], *, retired_for_s: float | None = None, trace: bool = False
) -> AsyncIterator[WatchedWorker]:
    """Runs one; at the end it is stopped in good order, and must say so."""
    given = {"settings": settings, "retired_for_s": retired_for_s, "trace": trace}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.acceptance.watched_worker",
        orjson.dumps(given).decode(),
        cwd=Path(__file__).parents[2],
        stdin=PIPE,
        stdout=PIPE,
        stderr=None if os.environ.get("BOOKSTREAM_SHOW_WORKER") else DEVNULL,
    )
    try:
        yield WatchedWorker(process)
        assert process.returncode is None, f"the worker ended early with {process.returncode}"
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"the worker ended with {process.returncode}"


class _Probe:
    """Measures how long the loop was busy with one thing."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self.stalls = 0
        self._looked = False

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            before_s, used_s = clock(), time.process_time()
            await asyncio.sleep(PROBE_S)
            if self._looked:
                # The look itself takes its time.
                self._looked = False
                continue
            # What other processes take of the machine is not the worker's.
            late_s = min(clock() - before_s - PROBE_S, time.process_time() - used_s)
            self.worst_s = max(self.worst_s, late_s)
            self.stalls += late_s > 0.005

    def look(self) -> dict[str, Any]:
        answer = {
            "worst_stall_ms": round(self.worst_s * 1000, 2),
            "stalls": self.stalls,
            "tasks": len(asyncio.all_tasks()),
            "files": len(os.listdir("/proc/self/fd")) - 1,
            **_memory(),
        }
        self.worst_s, self.stalls, self._looked = 0.0, 0, True
        return answer


def _memory() -> dict[str, Any]:
    # What is frozen would be counted nowhere; and what is alive now is frozen afterwards, as in a worker that is warm:
    # whatever can be freed by a collection alone stays and is counted the next time.
    gc.unfreeze()
    alive = Counter(type(one) for one in gc.get_objects())
    objects = {
        f"{kind.__module__}.{kind.__qualname__}": count
        for kind, count in alive.items()
        if isinstance(kind.__module__, str) and kind.__module__.startswith(OURS)
    }
    traced = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0
    rss_kb = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    gc.freeze()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "objects": objects,
        "traced": traced,
        "rss_kb": rss_kb,
        "cpu_s": round(used.ru_utime + used.ru_stime, 3),
    }


async def _main(given: dict[str, Any]) -> int:
    loop, stop, probe = asyncio.get_running_loop(), asyncio.Event(), _Probe()
    loop.add_signal_handler(15, stop.set)
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)

    async def answer() -> None:
        while await questions.readline():
            print(orjson.dumps(probe.look()).decode(), flush=True)

    beside = [asyncio.create_task(answer()), asyncio.create_task(probe.run())]
    for task in beside:
        # What fails here must not leave the other end waiting.
        task.add_done_callback(lambda _: stop.set())
    code = await service.run(WorkerSettings(**given["settings"]), stop)
    for task in beside:
        if task.done():
            task.result()
        task.cancel()
    return code


if __name__ == "__main__":
    told = orjson.loads(sys.argv[1])
    if told["retired_for_s"] is not None:
        following.RETIRED_FOR_US = int(told["retired_for_s"] * 1e6)  # type: ignore[misc]
    if told["trace"]:
        tracemalloc.start()
    configure_logs("warning", "console")
    sys.exit(asyncio.run(_main(told)))
