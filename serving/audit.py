"""What is worth a line in the audit trail: the vocabulary of state changes.

Every change of state is one entry, written in the transaction that makes the change (`serving.store.trail`).
Details hold ids, digests and numbers; never message texts or names of buyers.
"""

from enum import StrEnum

from pydantic import AwareDatetime

from models.domain import Frozen


class Action(StrEnum):
    CASE_TAKEN_IN = "case_taken_in"
    EVIDENCE_ADDED = "evidence_added"
    PHOTO_STORED = "photo_stored"
    SUGGESTION_STORED = "suggestion_stored"
    SUGGESTION_FAILED = "suggestion_failed"
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
    SUGGESTIONS_SWITCHED_OFF = "suggestions_switched_off"
    SUGGESTIONS_SWITCHED_ON = "suggestions_switched_on"
    DECISIONS_EXPORTED = "decisions_exported"
    OUTCOMES_EXPORTED = "outcomes_exported"
    USER_ADDED = "user_added"
    USER_DISABLED = "user_disabled"
    TOKEN_MADE = "token_made"  # noqa: S105  an action's name, not a secret
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    LINK_MADE = "link_made"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"


class AuditEvent(Frozen):
    """One state change. actor : a user's name, or "system:…" for the service itself"""

    at: AwareDatetime
    actor: str
    action: Action
    subject: str
    detail: dict[str, str | int | float | bool | None]
