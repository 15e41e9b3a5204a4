"""What readers say a written case truly holds: the labels of a message, what a photo shows.

These rows are measured against, never shown to a person at the desk. Knows nothing of models.
"""

from models.domain import Frozen, Identifier, Text
from models.vocabulary import StatementLabel


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
