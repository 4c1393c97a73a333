"""One child process, kept running until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import bookstream
from bookstream.up.logs import ChildLog
from bookstream.up.restarts import UNUSABLE, Restarts
from marketdata.errors import ChildError
from marketdata.parent import STOP_ON_STDIN_EOF

_PACKAGES: Final = str(Path(bookstream.__file__).parent.parent)


class Child:
    """Starts `bookstream COMMAND`, starts it again when it dies, says so, and ends it.

    The child has a session of its own, so that a Ctrl-C in the terminal reaches it through us and in our order,
    and a stdin that the kernel closes with this process.

    Args:
        name: for people.
        arguments: asked for at each start.
        environ: the child's whole environment.
        log: takes its stderr.
        say: gets a line for each thing that the user should know.
        on_line: gets each line of its stdout.

    Attributes:
        pids: of all its lives, the present one last.
    """

    def __init__(
        self,
        name: str,
        arguments: Callable[[], Sequence[str]],
        environ: Mapping[str, str],
        log: ChildLog,
        say: Callable[[str], None],
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.pids: list[int] = []
        self._name = name
        self._arguments = arguments
        # A folder of the user's named like one of our packages must not stand in for it: -P keeps the working
        # folder out, so a checkout that is not installed is named here.
        path = os.pathsep.join(filter(None, (_PACKAGES, environ.get("PYTHONPATH"))))
        self._environ = {**environ, "PYTHONPATH": path, STOP_ON_STDIN_EOF: "1"}
        self._log = log
        self._say = say
        self._on_line = on_line
        self._restarts = Restarts()
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def keep_running(self) -> None:
        """Returns only when `stop` ended the child.

        Raises:
            ChildError: it refuses its settings; starting it again would not help.
        """
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started_s = clock()
            process = await self._start()
            try:
                await self._read(process)
            except asyncio.CancelledError:
                # Whoever gives up on us must not leave it behind.
                with suppress(ProcessLookupError):
                    process.kill()
                raise
            code = await process.wait()
            if self._stopping.is_set():
                return
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            if code == UNUSABLE:
                raise ChildError(f"the {self._name} cannot run ({how}); {self._log.ending}")
            delay_s = self._restarts.after_death(clock() - started_s)
            self._say(
                f"the {self._name}, pid {process.pid}, died ({how}); it is started again in {delay_s:g} s;"
                f" {self._log.ending}"
            )
            await asyncio.sleep(delay_s)

    async def stop(self, grace_s: float) -> None:
        """Ends the child in good order (SIGTERM), after `grace_s` by force; returns when it is gone."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            self._say(f"the {self._name}, pid {process.pid}, did not stop within {grace_s:g} s; it is killed")
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        self._log.bound()
        log = self._log.open()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "bookstream", *self._arguments()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environ,
                start_new_session=True,
            )
        finally:
            if log is not None:
                log.close()
        self._process = process
        self.pids.append(process.pid)
        if self._stopping.is_set():
            # Told to stop while the process was being made: `stop` did not see it.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        return process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if self._on_line is not None:
                self._on_line(line.decode(errors="replace").strip())
