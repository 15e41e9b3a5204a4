"""Files at a place, on this machine or wherever fsspec reaches. Knows nothing of what stands in them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from fsspec.implementations.local import LocalFileSystem


def open_at(files: Any, path: str) -> BinaryIO:
    """Open a file of a file system for reading. Raises OSError, and so does reading, whatever the place is."""
    with answering():
        file = files.open(path, "rb")
    return cast(BinaryIO, file if isinstance(files, LocalFileSystem) else io.BufferedReader(_DistantFile(file)))


@contextmanager
def answering() -> Iterator[None]:
    """Turn the errors that a file system has of its own into OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}"[:300]) from error


class _DistantFile(io.RawIOBase):
    """The remote files of fsspec read no line with a bound on its length; buffered, they do."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        with answering():
            self._file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any, /) -> int:
        with answering():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class WatchedFile:
    """A file that keeps the error its place answers with: Arrow raises OSError for damaged bytes as well."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, n_bytes: int = -1) -> bytes:
        with self._watched():
            return self._file.read(n_bytes)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        with self._watched():
            return self._file.seek(offset, whence)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = error
            raise
