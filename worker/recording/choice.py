"""The recorder that RECORD_RAW asks for."""

from __future__ import annotations

from pathlib import Path
from random import Random

from marketdata.backoff import Backoff
from marketdata.errors import SettingsError
from marketdata.logs import get_logger
from worker.recording.folder import Folder
from worker.recording.hourly import HourlyFiles
from worker.recording.recorder import Recorder
from worker.settings import WorkerSettings


def recorder_of(settings: WorkerSettings, worker: str, random: Random) -> Recorder | None:
    """Not started yet; None where nothing is to be recorded.

    Raises:
        SettingsError: RECORD_RAW is no directory and cannot be made one.
    """
    if not settings.record_raw:
        return None
    path = Path(settings.record_raw)
    limit_bytes = settings.record_raw_max_mb * 1_000_000
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"RECORD_RAW={path} cannot be used: {error.strerror or error}; nothing was started: name a directory"
        ) from None
    get_logger("recording").info(
        f"frames are recorded into {path}, at most {settings.record_raw_max_mb} MB of them",
        compression=settings.record_raw_compression,
    )
    files = HourlyFiles(Folder(path, limit_bytes), worker, settings.record_raw_compression, limit_bytes)
    return Recorder(files, worker, Backoff(1.0, 60.0, random))
