"""Compression in blocks that can be read as far as they were written (pure)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final, Protocol

from marketdata.raw_files import Compression
from marketdata.zstd import CompressionParameter, ZstdCompressor

ZSTD_LEVEL: Final = 1
"""Level 3 takes twice the time, and on these frames more room."""

GZIP_LEVEL: Final = 1
"""Level 4 takes nearly twice the time for a seventh less."""

_GZIP: Final = 31
"""zlib's window of 32 kB, in gzip's wrapping."""


class Packer(Protocol):
    """One file's compression."""

    def pack(self, pieces: Iterable[bytes]) -> bytes:
        """Packs a block that can be read without what follows it."""
        ...

    def end(self) -> bytes:
        """What a file that is whole ends with."""
        ...


class ZstdPacker:
    """One zstd frame with a checksum at its end, a block a call."""

    def __init__(self) -> None:
        options: dict[int, int] = {
            CompressionParameter.compression_level: ZSTD_LEVEL,
            CompressionParameter.checksum_flag: 1,
        }
        self._compressor = ZstdCompressor(options=options)

    def pack(self, pieces: Iterable[bytes]) -> bytes:
        packed = [self._compressor.compress(piece) for piece in pieces]
        return b"".join(packed) + self._compressor.flush(ZstdCompressor.FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._compressor.flush(ZstdCompressor.FLUSH_FRAME)


class GzipPacker:
    """One gzip member, a synchronised block a call."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP)

    def pack(self, pieces: Iterable[bytes]) -> bytes:
        packed = [self._compressor.compress(piece) for piece in pieces]
        return b"".join(packed) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._compressor.flush(zlib.Z_FINISH)


def packer_of(compression: Compression) -> Packer:
    """A new packer, for one file."""
    return ZstdPacker() if compression == "zstd" else GzipPacker()
