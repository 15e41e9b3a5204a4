"""Writing files that are on the disk once written. Knows nothing of what they hold."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, blocks: Iterable[bytes], *, draft: str, mode: int = 0o600) -> None:
    """Put `blocks` into the file `path`, which has all of them or is as it was before.

    draft : how names of unfinished files beside it begin. Raises OSError.
    """
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=draft)
    try:
        try:
            for block in blocks:
                _write_all(handle, block)
            os.fchmod(handle, mode)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise
    _sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Put `data` into a file that nobody reads before its folder is finished. Raises OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _write_all(handle: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
