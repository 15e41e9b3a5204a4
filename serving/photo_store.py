"""Photo files by content digest, in two levels of folders.

A file appears whole or not at all and is checked on reading. Knows nothing of cases; a file that no row names is
harmless.
"""

import errno
import os
import tempfile
from pathlib import Path

from models.case_file import photo_digest
from serving.refusals import PhotoCorruptError, StorageError, StorageFullError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PhotoStore:
    """directory : made on first use"""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, data: bytes) -> str:
        """Keep `data` and return its digest, "sha256:…". The bytes are on the disk when this returns.

        Raises StorageFullError, StorageError.
        """
        digest = photo_digest(data)
        path = self._path(digest)
        if path.is_file() and path.stat().st_size == len(data) and photo_digest(path.read_bytes()) == digest:
            return digest
        try:
            _write_whole(path, data)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise StorageFullError from error
            raise StorageError("the photo folder can't be written now") from error
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes of `digest`. Raises PhotoCorruptError when they are gone or altered."""
        try:
            data = self._path(digest).read_bytes()
        except OSError as error:
            raise PhotoCorruptError(digest) from error
        if photo_digest(data) != digest:
            raise PhotoCorruptError(digest)
        return data

    def check_writable(self) -> None:
        """Raise OSError when no file can be written."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.directory, prefix=".probe-") as file:
            file.write(b"probe")
            file.flush()

    def _path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        if len(name) != 64 or not all(letter in "0123456789abcdef" for letter in name):
            raise PhotoCorruptError(digest)
        return self.directory / name[:2] / name[2:4] / name


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
