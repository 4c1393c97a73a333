"""Workers as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.integration.worker.rig import until

ROOT = Path(__file__).parents[3]


class WorkerProcess:
    """`bookstream worker` with settings from the environment; killed at the end of the test if it still runs.

    Attributes:
        worker_id: its name.
        process: the process.
    """

    def __init__(self, folder: Path, worker_id: str, **settings: Any) -> None:
        self.worker_id = worker_id
        self._log = folder / f"{worker_id}-{len(list(folder.glob('*.log')))}.log"
        given = {name.upper(): str(value) for name, value in settings.items()}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bookstream", "worker"],
                env={**os.environ, "WORKER_ID": worker_id, **given},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What it wrote so far, stdout and stderr together."""
        return self._log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    async def end(self, bound_s: float) -> int:
        """Waits for its end; returns the exit code."""
        await until(lambda: self.process.poll() is not None, f"{self.worker_id} ended\n{self.log}", bound_s)
        code: int = self.process.returncode
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
        if error is not None:
            print(f"--- log of {self.worker_id}\n{self.log}")
