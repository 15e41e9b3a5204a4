"""The photos of a case out of the folder that the case lies in.

Knows nothing of stores and snapshots.
"""

from pathlib import Path

from models.case_file import CaseFile
from models.domain import Case


def with_photos(case: Case, folder: Path) -> CaseFile:
    """Return the case with those of its photos whose `path` is a file in `folder`; the others are absent."""
    found = {
        photo.photo_id: (folder / photo.path).read_bytes()
        for photo in case.photos
        if photo.path is not None and (folder / photo.path).is_file()
    }
    return CaseFile(case, found)
