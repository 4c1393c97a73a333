"""A bounded buffer between the event loop and the one thread that compresses and writes.

The loop only appends. What the disk cannot take in time fills the buffer; what finds it full is not recorded, counted,
told of in the log, and its place in the file is marked by a `lost` line.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from marketdata.backoff import Backoff
from marketdata.clock import now_us
from marketdata.logs import get_logger
from worker.counters import Counters
from worker.recording.hourly import HourlyFiles
from worker.recording.lines import LineWriter, Taken, by_hour, lost

BUFFER_BYTES: Final = 64 * 1024 * 1024
FLUSH_S: Final = 1.0
"""A process that is killed loses at most what it received in so long, where the disk keeps up."""

BLOCK_BYTES: Final = 512 * 1024
"""Payload of one block; a buffer that holds more is emptied at once."""

CLOSE_S: Final = 0.5
"""How long an orderly end waits for the disk."""

LINES_A_TURN: Final = 64
"""The event loop gets the interpreter back after so many lines are spelt, about 0.1 ms."""

SAY_EVERY_S: Final = 60.0
_OVERHEAD_BYTES: Final = 200
"""Of one item in the buffer, beside its payload."""


class Recorder:
    """Takes frames from the event loop, never blocks it, and never raises.

    Args:
        files: where it goes; used by the thread alone.
        worker: id of the worker, in front of the names of its connections.
        backoff: between tries to write to a disk that fails.
        buffer_bytes: what may wait for the disk.
        clock: seconds of a clock that nobody sets, for how often losses are told.
    """

    def __init__(
        self,
        files: HourlyFiles,
        worker: str,
        backoff: Backoff,
        *,
        buffer_bytes: int = BUFFER_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lost = 0
        """Frames that were not recorded."""
        self.recorded = 0
        """Frames (and openings and closings) that were handed to the operating system."""
        self._files = files
        self._backoff = backoff
        self._buffer_bytes = buffer_bytes
        self._clock = clock
        self._buffer: deque[Taken] = deque()
        # Each is written by one side only, so that no lock is needed.
        self._put_bytes = self._taken_bytes = self._put_frames = 0
        self._losing = self._losing_since_us = 0
        self._said_s = -SAY_EVERY_S
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._stopped = False
        self._lines = LineWriter(worker)
        self._log = get_logger("recording")
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def count_into(self, counters: Counters) -> None:
        """Brings the worker's counters up to date."""
        counters.recorded = self.recorded
        counters.recording_lost = self.lost
        counters.recording_deleted = self._files.deleted

    # -- the event loop's side ------------------------------------------------------------------------------

    def received(self, connection: str, data: bytes, us: int) -> None:
        """A frame came."""
        self._put((us, "recv", connection, data))

    def sent(self, connection: str, text: str, us: int) -> None:
        """A text frame goes out."""
        self._put((us, "send", connection, text.encode()))

    def opened(self, connection: str, url: str, us: int) -> None:
        """A connection is open."""
        self._put((us, "open", connection, url.encode()))

    def closed(self, connection: str, why: str, us: int) -> None:
        """A connection has ended; `why` begins with the code where there is one."""
        self._put((us, "close", connection, why.encode()))

    async def close(self) -> None:
        """Writes what is buffered, within CLOSE_S; what the disk did not take by then is lost, and told."""
        if self._losing:
            self._mark(now_us())
        self._stopped = True
        self._closing.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join, CLOSE_S)
        if left := self._put_frames - self.recorded:
            self.lost += left
            self._log.error(f"the disk did not take the end of the recording: {left} frames are lost")

    def _put(self, item: Taken) -> None:
        size = len(item[3]) + _OVERHEAD_BYTES
        waiting = self._put_bytes - self._taken_bytes + size
        if waiting > self._buffer_bytes or self._stopped:
            self._lose(item[0])
            return
        if self._losing:
            self._mark(item[0])
        self._buffer.append(item)
        self._put_frames += 1
        self._put_bytes += size
        if waiting >= BLOCK_BYTES and not self._wake.is_set():
            self._wake.set()

    def _lose(self, us: int) -> None:
        if not self._losing:
            self._losing_since_us = us
        self._losing += 1
        self.lost += 1
        if self._clock() - self._said_s >= SAY_EVERY_S:
            self._said_s = self._clock()
            self._log.warning(
                f"{self.lost} frames are not recorded so far: the disk does not keep up; nothing else is affected"
            )

    def _mark(self, us: int) -> None:
        mark = lost(us, self._losing, self._losing_since_us)
        self._buffer.append(mark)
        self._put_bytes += len(mark[3]) + _OVERHEAD_BYTES
        self._losing = 0

    # -- the thread's side ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        except Exception:  # noqa: BLE001  (a thread's end would go unseen: from here on all is counted as lost)
            self._log.exception("the recording has failed and stops; nothing else is affected")
            self._stopped = True

    def _work(self) -> None:
        while True:
            self._wake.wait(FLUSH_S)
            self._wake.clear()
            ending = self._closing.is_set()
            while block := self._take():
                if not self._write(block):
                    return
            if ending:
                self._finish()
                return

    def _take(self) -> list[Taken]:
        block: list[Taken] = []
        size = 0
        while self._buffer and size < BLOCK_BYTES:
            item = self._buffer.popleft()
            size += len(item[3])
            block.append(item)
        return block

    def _write(self, block: list[Taken]) -> bool:
        """Writes a block, again and again if need be; False: the worker ends and the disk does not take it."""
        for hour, items in by_hour(block, self._files.hour):
            while not self._try(hour, items):
                if self._closing.is_set():
                    return False
                self._closing.wait(self._backoff.next_delay_s())
            self.recorded += sum(item[1] != "lost" for item in items)
            # Freed only now: what is in hand counts against the bound as well.
            self._taken_bytes += sum(len(item[3]) + _OVERHEAD_BYTES for item in items)
        return True

    def _spelt(self, items: list[Taken]) -> Iterator[bytes]:
        """Lines, some at a time: large pieces of memory cost more than what is done with them."""
        line = self._lines.line
        for start in range(0, len(items), LINES_A_TURN):
            yield b"".join([line(item) for item in items[start : start + LINES_A_TURN]])
            time.sleep(0)

    def _try(self, hour: int, items: list[Taken]) -> bool:
        try:
            deleted = self._files.write(hour, self._spelt(items))
        except OSError as error:
            if not self._backoff.tries:
                self._log.warning(
                    f"the recording pauses: {error}; frames wait in memory for the disk, "
                    "which is tried again; nothing else is affected"
                )
            return False
        for path in deleted:
            self._log.info(f"deleted {path.name}: RECORD_RAW_MAX_MB is reached")
        if self._backoff.tries:
            self._log.info("the recording goes on")
            self._backoff.reset()
        return True

    def _finish(self) -> None:
        try:
            self._files.close()
        except OSError as error:
            self._log.warning(f"the recording's last file has no end: {error}; it can be read all the same")
