"""Merging new evidence into a case: what is on file already is skipped, timed entries go in time order.

Pure; kept beside the store because it runs inside the transaction that reads the case.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from models.domain import Case, ChatMessage, Document, LogisticsEvent, Photo, ProcedureEvent, parse_case
from models.errors import CaseFormatError
from serving.records import EvidenceDraft

Timed = TypeVar("Timed", ChatMessage, ProcedureEvent, LogisticsEvent)
Named = TypeVar("Named", ChatMessage, Photo, Document)


def merged(case: Case, draft: EvidenceDraft) -> Case:
    """Return `case` with the evidence of `draft` added.

    Raises CaseFormatError when an id is on file with another content, or the whole is no valid case.
    """
    new: dict[str, Any] = {
        "chat": _in_time(case.chat, _new(case.chat, draft.chat, "chat", "message_id")),
        "timeline": _in_time(case.timeline, [event for event in draft.timeline if event not in case.timeline]),
        "logistics": _in_time(case.logistics, [event for event in draft.logistics if event not in case.logistics]),
        "photos": [*case.photos, *_new(case.photos, draft.photos, "photos", "photo_id")],
        "documents": [*case.documents, *_new(case.documents, draft.documents, "documents", "document_id")],
    }
    return parse_case(case.model_copy(update={name: tuple(value) for name, value in new.items()}).model_dump_json())


def _new(old: Sequence[Named], added: Sequence[Named], name: str, key: str) -> list[Named]:
    known = {getattr(item, key): item for item in old}
    fresh = []
    for place, item in enumerate(added):
        item_id = getattr(item, key)
        if item_id not in known:
            fresh.append(item)
        elif known[item_id] != item:
            raise CaseFormatError([(f"{name}.{place}.{key}", f"{item_id!r} is on file with another content")])
    return fresh


def _in_time(old: Sequence[Timed], added: Sequence[Timed]) -> list[Timed]:
    """Sort stably, so that entries of one moment keep the order in which they were filed."""
    together: list[Timed] = list(old)
    together.extend(added)
    return sorted(together, key=lambda entry: entry.at)
