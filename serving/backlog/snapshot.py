"""A row of a snapshot: a case as the database held it, its version, and the digests of its photos.

The bytes of the photos stay in the photo store. Knows nothing of how a snapshot is taken.
"""

import json
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from models.domain import Case, parse_case
from models.errors import CaseFormatError
from serving.records import StoredVersion

_DIGESTS = TypeAdapter(dict[str, str])


@dataclass(frozen=True)
class SnapshotRow:
    """photos : photo digest by photo_id, for the photos present"""

    case: Case
    version: int
    photos: dict[str, str]


def as_line(stored: StoredVersion) -> bytes:
    content = {"case": stored.case.model_dump(mode="json"), "version": stored.version, "photos": stored.digests}
    return (json.dumps(content, ensure_ascii=False) + "\n").encode()


def snapshot_row(text: str) -> SnapshotRow:
    """Raises CaseFormatError on a row that was altered."""
    try:
        content = json.loads(text)
        return SnapshotRow(
            parse_case(content["case"]), int(content["version"]), _DIGESTS.validate_python(content["photos"])
        )
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise CaseFormatError([("case", f"is no row of a snapshot: {error}")]) from error
