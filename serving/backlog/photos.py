"""The bytes of a case's photos out of a folder that the operator named.

A photo that isn't there, lies outside the folder or can't be read is absent, which never refuses a case. Knows nothing
of what a photo shows; whether its bytes are a photo at all is for the scorer to find.
"""

from pathlib import Path

from models.domain import Case

MAX_PHOTO_BYTES = 20_000_000


def read_photos(case: Case, folder: Path, *, max_photo_bytes: int = MAX_PHOTO_BYTES) -> dict[str, bytes]:
    """Return the bytes by photo_id of the photos that are there.

    max_photo_bytes : a larger file is absent
    """
    base = folder.resolve()
    found = {}
    for photo in case.photos:
        data = _read(base, photo.path, max_photo_bytes) if photo.path is not None else None
        if data is not None:
            found[photo.photo_id] = data
    return found


def _read(base: Path, relative: str, max_photo_bytes: int) -> bytes | None:
    try:
        path = (base / relative).resolve()
        if not path.is_relative_to(base) or not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(max_photo_bytes + 1)
    except (OSError, RuntimeError, ValueError):
        return None
    return data if len(data) <= max_photo_bytes else None
