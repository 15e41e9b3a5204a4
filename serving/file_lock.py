"""Locks on files: one holder at a time, and let go when its process ends, however it does.

Knows nothing of what they keep apart.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[int | None]:
    """Yield the handle of a lock on `path`, which is made; None while another holder has it. Raises OSError."""
    handle = _opened(path)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield handle
    finally:
        os.close(handle)


@contextmanager
def awaited(path: Path) -> Iterator[None]:
    """Hold the lock on `path`, which is made with its folder, once nobody else does. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _opened(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds the lock on `path`, without standing in the way of others who ask."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _opened(path: Path) -> int:
    """Return a handle of the file, which is made; who may only read it can lock it as well. Raises OSError."""
    try:
        # For writing where that may be: some network file systems lock no file that is open for reading only.
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY)
