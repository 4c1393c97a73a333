"""The recorder that RECORD_RAW asks for."""

from __future__ import annotations

from pathlib import Path
from random import Random

from marketdata.logs import get_logger
from worker.backoff import Backoff
from worker.recording.folder import Folder
from worker.recording.hourly import HourlyFiles
from worker.recording.recorder import Recorder
from worker.settings import WorkerSettings


def recorder_of(settings: WorkerSettings, worker: str, random: Random) -> Recorder | None:
    """Not started yet; None where nothing is to be recorded."""
    if not settings.record_raw:
        return None
    path = Path(settings.record_raw)
    limit_bytes = settings.record_raw_max_mb * 1_000_000
    get_logger("recording").info(
        f"frames are recorded into {path}, at most {settings.record_raw_max_mb} MB of them",
        compression=settings.record_raw_compression,
    )
    files = HourlyFiles(Folder(path, limit_bytes), worker, settings.record_raw_compression, limit_bytes)
    return Recorder(files, worker, Backoff(1.0, 60.0, random))
