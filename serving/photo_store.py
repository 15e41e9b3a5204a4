"""Photo files by content digest, in two levels of folders.

A file appears whole or not at all and is checked on reading. Knows nothing of cases; a file that no row names is
harmless.
"""

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from models.case_file import photo_digest
from serving.durable_file import write_whole
from serving.refusals import PhotoCorruptError, StorageError, StorageFullError

_DIGEST_LENGTH = 64
_SET_ASIDE = ".erased-"
_DRAFT = ".new-"
_ABANDONED_S = 3600.0
_FILES_AT_A_TIME = 500
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
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, [data], draft=_DRAFT)
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

    def has(self, digest: str) -> bool:
        """Tell whether there is a file of that digest, whatever is in it."""
        return self._path(digest).is_file()

    def make_sure(self, digest: str, data: bytes) -> None:
        """Write the bytes again if an erasure took the file away between `put` and the row that names it."""
        if not self.has(digest):
            self.put(data)

    def remove_unnamed(self, unnamed: Callable[[set[str]], set[str]]) -> int:
        """Remove every file that no row names, and return how many there were; drafts left by a crash go too.

        unnamed : returns those of some digests that no row names now
        A file is set aside before it is asked about for the last time, so that one filed at that moment isn't lost.
        """
        n_removed, files = 0, self._files()
        while batch := {path: self._digest(path) for path in islice(files, _FILES_AT_A_TIME)}:
            gone = unnamed(set(batch.values()))
            for path, digest in batch.items():
                if digest in gone:
                    n_removed += self._remove(path, unnamed)
                elif path.name.startswith(_SET_ASIDE):  # a removal was cut off, and the photo filed again
                    path.replace(self._path(digest))
        return n_removed

    def _remove(self, path: Path, unnamed: Callable[[set[str]], set[str]]) -> bool:
        digest = self._digest(path)
        aside = self._path(digest).with_name(_SET_ASIDE + path.name.removeprefix(_SET_ASIDE))
        with suppress(FileNotFoundError):  # another removal was faster
            path.replace(aside)
            if unnamed({digest}):
                aside.unlink()
                return True
            aside.replace(self._path(digest))
        return False

    def _digest(self, path: Path) -> str:
        return f"sha256:{path.name.removeprefix(_SET_ASIDE)}"

    def _files(self) -> Iterator[Path]:
        for path in self.directory.glob("??/??/*"):
            if len(path.name.removeprefix(_SET_ASIDE)) == _DIGEST_LENGTH:
                yield path
            elif path.name.startswith(_DRAFT) and path.stat().st_mtime < time.time() - _ABANDONED_S:
                path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return the room left on the disk of the folder, or of the nearest one above that is there."""
        there = next(folder for folder in (self.directory, *self.directory.absolute().parents) if folder.is_dir())
        return shutil.disk_usage(there).free

    def check_writable(self) -> None:
        """Raise OSError when no file can be written."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.directory, prefix=".probe-") as file:
            file.write(b"probe")
            file.flush()

    def _path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        if len(name) != _DIGEST_LENGTH or not all(letter in "0123456789abcdef" for letter in name):
            raise PhotoCorruptError(digest)
        return self.directory / name[:2] / name[2:4] / name
