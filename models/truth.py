"""What people say a case truly holds: the labels of a message, what a photo shows, where the machine misread it.

Readers' rows are measured against, never shown to a person at the desk; corrections come from the desk. Knows nothing
of models.
"""

from typing import Literal

from pydantic import AwareDatetime

from models.domain import Frozen, Identifier, Text
from models.vocabulary import Platform, StatementLabel


class StatementTruth(Frozen):
    """The labels a reader gave to one message."""

    case_id: Identifier
    message_id: Identifier
    labels: tuple[StatementLabel, ...] = ()


class PhotoTruth(Frozen):
    """What a photo truly shows; null where the question does not apply."""

    case_id: Identifier
    photo_id: Identifier
    shows: Text = ""
    damaged: bool | None = None
    matches_listing: bool | None = None


class EvidenceCorrection(Frozen):
    """What a person found wrong in the machine's reading of one piece of evidence, and what is right.

    kind statement: `label` holds in message `ref`, or doesn't; photo: `damaged` says what photo `ref` shows, `region`
    where (pixels); listing_match: `matches_listing` says whether the photos "listing|received" of `ref` agree
    """

    platform: Platform
    case_id: Identifier
    kind: Literal["statement", "photo", "listing_match"]
    ref: str
    label: StatementLabel | None = None
    holds: bool | None = None
    damaged: bool | None = None
    region: tuple[int, int, int, int] | None = None
    matches_listing: bool | None = None
    corrected_by: str | None = None
    corrected_at: AwareDatetime | None = None
