"""Case files out of the store: a stored version with the bytes of its photos.

A photo whose stored bytes are altered or gone counts as absent. Knows nothing of scoring.
"""

from collections.abc import Callable

from models.case_file import CaseFile
from serving.photo_store import PhotoStore
from serving.records import StoredVersion
from serving.refusals import PhotoCorruptError


def read_case_file(
    version: StoredVersion, photos: PhotoStore, *, on_corrupt: Callable[[str], None] = lambda digest: None
) -> CaseFile:
    found = {}
    for photo_id, digest in version.digests.items():
        try:
            found[photo_id] = photos.get(digest)
        except PhotoCorruptError:
            on_corrupt(digest)
    return CaseFile(version.case, found)
