"""The bytes of a case's photos out of the folder, on this machine or at a URL, that the operator named.

A photo that isn't there, lies outside the folder or can't be read is absent, which never refuses a case; a place that
doesn't answer is an error, for the photo may well be there. A case may name a photo by its whole URL, but only one
inside the folder: what a party wrote never makes the service fetch from elsewhere. Knows nothing of what a photo shows;
whether its bytes are a photo at all is for the scorer to find.
"""

import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from models.domain import Case
from serving.backlog.refusals import BacklogError
from serving.photo_store import PhotoStore
from serving.refusals import PhotoCorruptError

MAX_PHOTO_BYTES = 20_000_000
_ATTEMPTS = 3
_PAUSE_S = 0.5


class PhotoUnreachableError(BacklogError):
    """The place of the photos doesn't answer."""

    def __init__(self, photo_id: str, reason: str) -> None:
        super().__init__(f"photo {photo_id} can't be fetched: {reason}")
        self.photo_id = photo_id


def read_photos(case: Case, folder: Path | str, *, max_photo_bytes: int = MAX_PHOTO_BYTES) -> dict[str, bytes]:
    """Return the bytes by photo_id of the photos that are there.

    folder : a path or a URL; max_photo_bytes : a larger file is absent
    Raises PhotoUnreachableError when a URL's place fails three times.
    """
    files, root = url_to_fs(str(folder))
    found = {}
    for photo in case.photos:
        relative = _inside(files, root, photo.path) if photo.path is not None else None
        if relative is None:
            continue
        if isinstance(files, LocalFileSystem):
            data = _read_here(Path(root).resolve(), relative, max_photo_bytes)
        else:
            data = _fetch(files, f"{root.rstrip('/')}/{relative}", photo.photo_id, max_photo_bytes)
        if data is not None:
            found[photo.photo_id] = data
    return found


def read_stored_photos(digests: Mapping[str, str], store: Path | str) -> dict[str, bytes]:
    """Return the bytes by photo_id out of the service's own photo store; altered or lost ones are absent."""
    photos = PhotoStore(Path(store))
    found = {}
    for photo_id, digest in digests.items():
        try:
            found[photo_id] = photos.get(digest)
        except PhotoCorruptError:
            continue
    return found


def _inside(files: Any, root: str, path: str) -> str | None:
    """Return `path` relative to `root`, None where it is a URL of another place or leads out."""
    if "://" in path:
        protocols = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
        stripped = str(files._strip_protocol(path))
        base = root.rstrip("/") + "/"
        if path.split("://", 1)[0] not in protocols or not stripped.startswith(base):
            return None
        path = stripped.removeprefix(base)
    return None if ".." in PurePosixPath(path.replace("\\", "/")).parts else path


def _read_here(base: Path, relative: str, max_photo_bytes: int) -> bytes | None:
    try:
        path = (base / relative).resolve()
        if not path.is_relative_to(base) or not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(max_photo_bytes + 1)
    except (OSError, RuntimeError, ValueError):
        return None
    return data if len(data) <= max_photo_bytes else None


def _fetch(files: Any, path: str, photo_id: str, max_photo_bytes: int) -> bytes | None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with files.open(path, "rb") as file:
                data: bytes = file.read(max_photo_bytes + 1)
        except (FileNotFoundError, IsADirectoryError):
            return None
        except Exception as error:  # each file system has errors of its own
            if attempt == _ATTEMPTS:
                raise PhotoUnreachableError(photo_id, f"{type(error).__name__}: {error}"[:300]) from error
            time.sleep(_PAUSE_S * attempt)
        else:
            return data if len(data) <= max_photo_bytes else None
    raise AssertionError("unreachable")
