"""Content of a recording's file: plain, gzip or zstd; a compressed one may end where its program was killed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import structlog

from marketdata.errors import CaptureError
from marketdata.zstd import ZstdDecompressor, ZstdError

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_GZIP: Final = 31
"""zlib's window of 32 kB, in gzip's wrapping."""

_PIECE_BYTES: Final = 64 * 1024
"""So little at a time, as a thousand times as much may come of it before it is counted."""

_log = structlog.stdlib.get_logger("simulator")


def read_content(path: Path, max_bytes: int) -> bytes:
    """The whole of a file, unpacked.

    Of a compressed file that was cut off, the lines that are whole are given, and a warning says so.

    Raises:
        CaptureError: it cannot be read, is damaged, or larger than `max_bytes` unpacked.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic == _ZSTD_MAGIC:
                return _gathered(path, _unpacked(file, ZstdDecompressor), max_bytes)
            if magic[:2] == _GZIP_MAGIC:
                return _gathered(path, _unpacked(file, lambda: zlib.decompressobj(_GZIP)), max_bytes)
            data = file.read(max_bytes + 1)
    except (OSError, zlib.error, ZstdError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CaptureError(f"{path}: cannot be read: {reason}; nothing was played") from error
    _check_size(path, len(data), max_bytes)
    return data


class _Unpacker(Protocol):
    """Of one gzip member or zstd frame; several may follow each other in a file."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _unpacked(file: BinaryIO, new: Callable[[], _Unpacker]) -> Iterator[tuple[bytes, bool]]:
    """Pieces of the content, each with whether a member or frame is open behind it."""
    unpacker = new()
    while piece := file.read(_PIECE_BYTES):
        while piece:
            if unpacker.eof:
                unpacker = new()
            yield unpacker.decompress(piece), not unpacker.eof
            piece = unpacker.unused_data if unpacker.eof else b""


def _gathered(path: Path, pieces: Iterator[tuple[bytes, bool]], max_bytes: int) -> bytes:
    data, is_cut = bytearray(), False
    for piece, is_open in pieces:
        data += piece
        is_cut = is_open
        _check_size(path, len(data), max_bytes)
    if not is_cut:
        return bytes(data)
    del data[data.rfind(b"\n") + 1 :]
    if not data:
        raise CaptureError(
            f"{path}: cannot be read: it was cut off within its first line; nothing was played"
        )
    _log.warning("a recording was cut off; it is played up to there", path=str(path), lines=data.count(b"\n"))
    return bytes(data)


def _check_size(path: Path, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise CaptureError(f"{path}: more than {max_bytes} bytes unpacked; split it, nothing was played")
