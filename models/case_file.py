"""A case with the bytes of its photos: what a suggestion is made from.

Knows nothing of where the bytes are kept.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from models.domain import Case


@dataclass(frozen=True)
class CaseFile:
    """photos : bytes by photo_id; a photo of the case that is not here is absent, which never refuses the case."""

    case: Case
    photos: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Return "sha256:…" of each photo at hand, by photo_id."""
        return {photo_id: photo_digest(data) for photo_id, data in self.photos.items()}


def photo_digest(data: bytes) -> str:
    """Return "sha256:…" over the bytes of a photo as filed."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def input_digest(file: CaseFile, *, ruled_on: date) -> str:
    """Return "sha256:…" over the case, its photos' digests and the date that chooses the rule pack."""
    return digest_of(file.case, file.digests, ruled_on=ruled_on)


def digest_of(case: Case, photo_digests: Mapping[str, str], *, ruled_on: date) -> str:
    """Return `input_digest` of a case whose photos are digested already.

    photo_digests : by photo_id, of the photos at hand
    """
    photos = {photo.photo_id: photo_digests[photo.photo_id] for photo in case.photos if photo.photo_id in photo_digests}
    content = [case.model_dump(mode="json"), photos, ruled_on.isoformat()]
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
