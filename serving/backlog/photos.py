"""The bytes of a case's photos out of the folder, on this machine or at a URL, that the operator named.

A photo that isn't there, lies outside the folder or can't be read is absent, which never refuses a case; a place that
doesn't answer is an error, for the photo may well be there. A case may name a photo by its whole URL, but only one
inside the folder: what a party wrote never makes the service fetch from elsewhere. Knows nothing of what a photo shows;
whether its bytes are a photo at all is for the scorer to find.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from models.domain import Case
from serving.backlog.refusals import BacklogError
from serving.photo_store import PhotoStore
from serving.refusals import PhotoCorruptError

MAX_PHOTO_BYTES = 20_000_000
MAX_CASE_PHOTO_BYTES = 400_000_000
_ATTEMPTS = 3
_PAUSE_S = 0.5
# some web servers take `\` for `/`, and what follows `?`, `#` or `;` for no part of the path
_OUTWARD = re.compile(r"(^|[/\\?#;])\.\.([/\\?#;]|$)|[\x00-\x1f\x7f]")
_TRY_LATER = (408, 429)


class PhotoUnreachableError(BacklogError):
    """The place of the photos doesn't answer."""

    def __init__(self, photo_id: str, reason: str) -> None:
        super().__init__(f"photo {photo_id} can't be fetched: {reason}")
        self.photo_id = photo_id


def read_photos(
    case: Case,
    folder: Path | str,
    *,
    max_photo_bytes: int = MAX_PHOTO_BYTES,
    max_case_bytes: int = MAX_CASE_PHOTO_BYTES,
) -> dict[str, bytes]:
    """Return the bytes by photo_id of the photos that are there.

    folder : a path or a URL; max_photo_bytes : a larger file is absent
    max_case_bytes : of all photos together; in the order of the case, one that no longer fits in is absent
    Raises PhotoUnreachableError when a URL's place fails three times.
    """
    files, root = url_to_fs(str(folder))
    found: dict[str, bytes] = {}
    room = max_case_bytes
    for photo in case.photos:
        relative = _inside(files, root, photo.path) if photo.path is not None else None
        if relative is None or room <= 0:
            continue
        limit = min(max_photo_bytes, room)
        if isinstance(files, LocalFileSystem):
            data = _read_here(Path(root).resolve(), relative, limit)
        else:
            data = _fetch(files, f"{root.rstrip('/')}/{relative}", photo.photo_id, limit)
        if data is not None:
            found[photo.photo_id] = data
            room -= len(data)
    return found


def read_stored_photos(
    digests: Mapping[str, str], store: Path | str, *, max_case_bytes: int = MAX_CASE_PHOTO_BYTES
) -> dict[str, bytes]:
    """Return the bytes by photo_id out of the service's own photo store; altered or lost ones are absent.

    max_case_bytes : of all photos together; in their order, one that no longer fits in is absent
    """
    photos = PhotoStore(Path(store))
    found: dict[str, bytes] = {}
    room = max_case_bytes
    for photo_id, digest in digests.items():
        if room <= 0:
            break
        try:
            data = photos.get(digest)
        except PhotoCorruptError:
            continue
        if len(data) <= room:
            found[photo_id] = data
            room -= len(data)
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
    return None if _leads_out(path) else path


def _leads_out(path: str) -> bool:
    """Whether `path` leads out of its folder, also for a server that decodes it, once or more often."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return _OUTWARD.search(path) is not None


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
                data = _read_up_to(file, max_photo_bytes + 1)
        except Exception as error:  # each file system has errors of its own
            if _says_absent(files, error):
                return None
            if attempt == _ATTEMPTS:
                raise PhotoUnreachableError(photo_id, f"{type(error).__name__}: {error}"[:300]) from error
            time.sleep(_PAUSE_S * attempt)
        else:
            return data if len(data) <= max_photo_bytes else None
    raise AssertionError("unreachable")


def _read_up_to(file: Any, n_bytes: int) -> bytes:
    """Return the first `n_bytes`; a web server that doesn't tell a length has them read in pieces."""
    data = bytearray()
    while len(data) < n_bytes and (piece := file.read(n_bytes - len(data))):
        data += piece
    return bytes(data)


def _says_absent(files: Any, error: Exception) -> bool:
    """Whether a file system says that there is no such photo.

    fsspec's file system for http says so too of a server that doesn't answer; what happened is then the cause.
    """
    if not isinstance(error, FileNotFoundError | IsADirectoryError):
        return False
    if "http" not in files.protocol or error.__cause__ is None:
        return True
    status = getattr(error.__cause__, "status", 0)
    return 400 <= status < 500 and status not in _TRY_LATER
