"""What is worth a line in the audit trail, and how its lines are chained so that tampering shows.

Every change of state is one entry, written in the transaction that makes the change (`serving.store.trail`).
Details hold ids, digests and numbers; never message texts or names of buyers. What a decision or a correction says
beyond them, they hold a digest of (`serving.store.payloads`). The chain holds a salted digest of who, what on and the
details, not these themselves: once they are erased and the salt with them, the digest says nothing and the chain still
verifies. A chain alone can't show that its end was cut off or that all of it was written anew: that takes a head
exported before (`serving.audit_heads`). Knows no database.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import AwareDatetime

from models.domain import Frozen

GENESIS = "0" * 64


class Action(StrEnum):
    CASE_TAKEN_IN = "case_taken_in"
    EVIDENCE_ADDED = "evidence_added"
    PHOTO_STORED = "photo_stored"
    PHOTOS_CHECKED = "photos_checked"
    SUGGESTION_STORED = "suggestion_stored"
    SUGGESTION_FAILED = "suggestion_failed"
    SUGGESTION_WITHHELD = "suggestion_withheld"
    SUGGESTION_SHOWN = "suggestion_shown"
    DECIDED = "decided"
    DECISION_WITHDRAWN = "decision_withdrawn"
    EVIDENCE_REQUEST_ANSWERED = "evidence_request_answered"
    CORRECTED = "corrected"
    CORRECTION_WITHDRAWN = "correction_withdrawn"
    CASE_TAKEN = "case_taken"
    CASE_RELEASED = "case_released"
    CASE_SKIPPED = "case_skipped"
    RECUSED = "recused"
    CASES_ASSIGNED = "cases_assigned"
    ASSIGNMENT_UNDONE = "assignment_undone"
    APPEAL_FILED = "appeal_filed"
    NOTICE_WRITTEN = "notice_written"
    NOTICE_EDITED = "notice_edited"
    NOTICE_SENT = "notice_sent"
    MESSAGE_DELIVERED = "message_delivered"
    MESSAGE_GIVEN_UP = "message_given_up"
    MESSAGES_RETRIED = "messages_retried"
    SUGGESTIONS_SWITCHED_OFF = "suggestions_switched_off"
    SUGGESTIONS_SWITCHED_ON = "suggestions_switched_on"
    DECISIONS_EXPORTED = "decisions_exported"
    OUTCOMES_EXPORTED = "outcomes_exported"
    MODEL_TAKEN_UP = "model_taken_up"
    MODEL_REFUSED = "model_refused"
    MODEL_PROMOTED = "model_promoted"
    MODEL_ROLLED_BACK = "model_rolled_back"
    RETRAINING_ASKED = "retraining_asked"
    RETRAINING_STARTED = "retraining_started"
    RETRAINING_CANCELLED = "retraining_cancelled"
    RETRAINING_PUT_BACK = "retraining_put_back"
    RETRAINING_ENDED = "retraining_ended"
    SHADOW_ON = "shadow_on"
    SHADOW_OFF = "shadow_off"
    SHADOW_REFUSED = "shadow_refused"
    PREFERENCES_CHANGED = "preferences_changed"
    USER_ADDED = "user_added"
    USER_DISABLED = "user_disabled"
    TOKEN_MADE = "token_made"  # noqa: S105  an action's name, not a secret
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    LINK_MADE = "link_made"
    LINK_USED = "link_used"
    PASSWORD_SET = "password_set"  # noqa: S105
    LOCKED_OUT = "locked_out"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    BACKLOG_ASKED = "backlog_asked"
    BACKLOG_CANCELLED = "backlog_cancelled"
    BACKLOG_RESUMED = "backlog_resumed"
    BACKLOG_DOWNLOADED = "backlog_downloaded"
    BACKLOG_REMOVED = "backlog_removed"
    CONTENT_ERASED = "content_erased"
    PHOTOS_REMOVED = "photos_removed"
    OUTCOMES_REVOKED = "outcomes_revoked"
    RETENTION_APPLIED = "retention_applied"
    RESTORED = "restored"


class AuditEvent(Frozen):
    """One state change. actor : a user's name, or "system:…" for the service itself"""

    at: AwareDatetime
    actor: str
    action: Action
    subject: str
    detail: dict[str, str | int | float | bool | None]


class AuditHead(Frozen):
    """The end of the chain at some moment. place : number of entries; digest : of the last one"""

    place: int
    digest: str


@dataclass(frozen=True)
class Link:
    """An entry as the chain sees it. actor, subject, detail, salt : None once erased"""

    place: int
    at: datetime
    action: str
    actor: str | None
    subject: str | None
    detail: str | None
    salt: str | None
    content_digest: str
    digest: str


@dataclass(frozen=True)
class Verified:
    """n_erased : entries whose content was erased and that an entry of erasure names"""

    head: AuditHead
    n_erased: int


class Broken(Frozen):
    """place : where the chain stops being what was written; None for the whole of it"""

    place: int | None
    what: str


def digest_content(actor: str, subject: str, detail: str, *, salt: str) -> str:
    """Return the SHA-256, in hex, of what an entry says. detail : its JSON, as stored"""
    return _sha256([salt, actor, subject, detail])


def digest_link(*, place: int, at: datetime, action: str, content_digest: str, previous: str) -> str:
    """Return the SHA-256, in hex, that chains an entry to the one before it. place : 1 for the first"""
    return _sha256([place, at.astimezone(UTC).isoformat(), action, content_digest, previous])


def verify_chain(links: Iterable[Link], *, heads: Sequence[AuditHead] = ()) -> Verified | Broken:
    """Check every entry, in order of place, against the one before it and against heads exported earlier.

    Finds an entry that was edited, deleted, swapped or put in, content that went without an entry of erasure, and,
    against a head, a cut end or a chain written anew.
    """
    exported = {head.place: head.digest for head in heads}
    erased, allowed = set(), set()
    previous, place = GENESIS, 0
    for link in links:
        place += 1
        if link.place != place:
            return Broken(place=place, what="an entry is missing or out of order")
        if link.salt is None:
            if (link.actor, link.subject, link.detail) != (None, None, None):
                return Broken(place=place, what="the salt is gone and the content is not")
            erased.add(place)
        elif digest_content(link.actor or "", link.subject or "", link.detail or "", salt=link.salt) != (
            link.content_digest
        ):
            return Broken(place=place, what="the actor, subject or detail was altered")
        expected = digest_link(
            place=place, at=link.at, action=link.action, content_digest=link.content_digest, previous=previous
        )
        if link.digest != expected:
            return Broken(place=place, what="the entry was altered, or doesn't follow the one before it")
        if exported.pop(place, expected) != expected:
            return Broken(place=place, what="the entry isn't the one of the exported head")
        if link.action == Action.CONTENT_ERASED and link.detail is not None:
            allowed |= set(places_in(json.loads(link.detail)["places"]))
        previous = expected
    if exported:
        return Broken(place=place + 1, what=f"the end is cut off: a head was exported at entry {max(exported)}")
    if erased - allowed:
        return Broken(place=min(erased - allowed), what="the content is gone and no entry of erasure names it")
    return Verified(AuditHead(place=place, digest=previous), n_erased=len(erased))


def places_text(places: Iterable[int]) -> str:
    """Return places as text, runs shortened: "3-5,9"."""
    runs: list[list[int]] = []
    for place in sorted(places):
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def places_in(text: str) -> Iterator[int]:
    """Yield the places of `places_text`."""
    for run in filter(None, text.split(",")):
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _sha256(content: list[object]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()
