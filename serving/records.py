"""What the store hands out: cases with their versions, queue rows, users, jobs.

These types are also the API's answers. Knows nothing of SQL or HTTP.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, Field

from models.domain import (
    Case,
    ChatMessage,
    Decision,
    Document,
    Frozen,
    LogisticsEvent,
    Photo,
    ProcedureEvent,
    Suggestion,
    Text,
)
from models.vocabulary import Claim, Platform, Ruling, Stage

SuggestionState = Literal["pending", "ready", "failed", "off", "withheld"]
"""off: a lead switched suggestions off for this claim or platform; withheld: there is one, and that it is shown can't
be noted now."""
Order = Literal["opened", "urgency"]


class CaseStatus(StrEnum):
    OPEN = "open"
    AWAITING_EVIDENCE = "awaiting_evidence"
    AWAITING_LEAD = "awaiting_lead"
    APPEALED = "appealed"
    DECIDED = "decided"
    ERASED = "erased"

    @property
    def stage(self) -> Stage | None:
        """The stage that a case in this status waits for; None where no decision is due."""
        return _DUE.get(self)


_DUE = {
    CaseStatus.OPEN: Stage.FIRST_REVIEW,
    CaseStatus.AWAITING_LEAD: Stage.LEAD_REVIEW,
    CaseStatus.APPEALED: Stage.APPEAL,
}


class Role(StrEnum):
    ARBITRATOR = "arbitrator"
    LEAD = "lead"
    AUDITOR = "auditor"
    ENGINEER = "engineer"
    SERVICE = "service"

    @property
    def decides(self) -> bool:
        return self in (Role.ARBITRATOR, Role.LEAD)


class CaseKey(NamedTuple):
    platform: Platform
    case_id: str

    def __str__(self) -> str:
        return f"{self.platform}/{self.case_id}"


class Scope(StrEnum):
    """What an API token may be used for, within its user's role."""

    READ = "read"
    FILE = "file"
    SCORE = "score"
    DECIDE = "decide"
    OPERATE = "operate"


class Queue(NamedTuple):
    """The cases of a platform, of a claim, or of both; None stands for all."""

    platform: Platform | None = None
    claim: Claim | None = None

    def holds(self, platform: Platform, claim: Claim) -> bool:
        return self.platform in (None, platform) and self.claim in (None, claim)

    def __str__(self) -> str:
        return f"{self.platform or '*'}/{self.claim or '*'}"


@dataclass(frozen=True)
class User:
    """queues : the only cases that this user sees; empty for every case"""

    user_key: int
    name: str
    role: Role
    queues: tuple[Queue, ...] = ()

    def sees(self, platform: Platform, claim: Claim) -> bool:
        return not self.queues or any(queue.holds(platform, claim) for queue in self.queues)


@dataclass(frozen=True)
class Person:
    """Whoever makes a request. csrf_token is set for browser sessions only; scopes for API tokens made with some."""

    user: User
    via: Literal["session", "token"]
    csrf_token: str | None = None
    scopes: frozenset[Scope] | None = None

    def may(self, scope: Scope | None) -> bool:
        """Return whether the token reaches this far; what has no scope is out of reach of a token made with some."""
        return self.scopes is None or scope in self.scopes

    @property
    def sees_parties(self) -> bool:
        """Leads and auditors need to know who buyer and seller are; for others a stable stand-in will do."""
        return self.user.role in (Role.LEAD, Role.AUDITOR)


class PhotoOnFile(Frozen):
    """A photo the case lists and whether its bytes are here. width, height: pixels, upright."""

    photo_id: str
    present: bool
    digest: str | None = None
    width: int | None = None
    height: int | None = None
    n_bytes: int | None = None


class DecisionRecord(Frozen):
    """A decision and how it ended: it stands, was withdrawn, or the evidence it asked for arrived."""

    decision: Decision
    state: Literal["standing", "withdrawn", "answered"]
    ended_by: str | None = None
    ended_at: AwareDatetime | None = None
    end_reason: str = ""


class Hold(Frozen):
    """Who holds a case and until when. fence : rises with every change of hands"""

    held_by: str
    taken_at: AwareDatetime
    held_until: AwareDatetime
    fence: int


class CaseView(Frozen):
    """Everything the desk shows of a case at its current version.

    hidden : the machine's output is withheld until somebody has committed to a ruling
    due_at, clock : when what happens by itself, under the rule pack's clock
    """

    case: Case
    version: int
    status: CaseStatus
    created_at: AwareDatetime
    updated_at: AwareDatetime
    photos: tuple[PhotoOnFile, ...]
    suggestion: Suggestion | None
    suggestion_state: SuggestionState
    suggestion_problem: str | None = None
    hidden: bool = False
    due_at: AwareDatetime | None = None
    clock: str | None = None
    hold: Hold | None = None
    assigned_to: str | None = None
    decisions: tuple[DecisionRecord, ...]

    @property
    def key(self) -> CaseKey:
        return CaseKey(self.case.platform, self.case.case_id)

    @property
    def etag(self) -> str:
        return f'"{self.version}"'


class QueueRow(Frozen):
    platform: Platform
    case_id: str
    claim: Claim
    requested: str
    title: str
    opened_at: AwareDatetime
    paid_minor: int
    currency: str
    status: CaseStatus
    version: int
    suggestion_state: SuggestionState
    ruling: Ruling | None = Field(
        None, description="The suggested ruling; null when there is none, it abstains, or you may decide."
    )
    confidence: float | None = None
    hidden: bool = Field(False, description="Machine output is withheld until somebody has committed to a ruling.")
    language: Literal["zh", "en"] = "zh"
    due_at: AwareDatetime | None = None
    clock: str | None = None
    held_by: str | None = None
    assigned_to: str | None = None


class QueuePage(Frozen):
    cases: tuple[QueueRow, ...]
    next_cursor: str | None = Field(None, description="Ask again with `cursor` set to this; null on the last page.")


class QueueFilter(Frozen):
    claim: Claim | None = None
    platform: Platform | None = None
    status: CaseStatus | None = None
    min_paid_minor: int | None = None
    max_paid_minor: int | None = None
    within: tuple[Queue, ...] = ()
    language: Literal["zh", "en"] | None = None
    overdue: bool = Field(False, description="Only cases whose clock has run out.")
    search: str | None = Field(None, max_length=128, description="Part of a case id or of the listing's title.")
    assigned_to: str | None = Field(None, max_length=128, description="A user's name.")


class EvidenceDraft(Frozen):
    """What is added to a case; everything optional. Timed entries are put in time order among those on file."""

    chat: tuple[ChatMessage, ...] = ()
    photos: tuple[Photo, ...] = ()
    documents: tuple[Document, ...] = ()
    timeline: tuple[ProcedureEvent, ...] = ()
    logistics: tuple[LogisticsEvent, ...] = ()


class Intake(Frozen):
    """What became of a case or of evidence sent in. `changed` is false when all of it was on file already."""

    platform: Platform
    case_id: str
    version: int
    changed: bool
    suggestion_state: SuggestionState


class WithdrawalDraft(Frozen):
    stage: Stage = Stage.FIRST_REVIEW
    reason: Text = ""


@dataclass(frozen=True)
class StoredVersion:
    """One version of a case. digests : photo digest by photo_id, for the photos present"""

    case_key: int
    case: Case
    version: int
    digests: dict[str, str]


@dataclass(frozen=True)
class ScoreJob:
    """A leased scoring job. fence : rises with every lease; an older holder's writes are refused"""

    job_id: int
    case_key: int
    version: int
    fence: int
    attempts: int


@dataclass(frozen=True)
class RetrainingJob:
    """A leased retraining. fence : as on a ScoreJob"""

    job_id: int
    fence: int
    asked_by: str


@dataclass(frozen=True)
class ShadowJob:
    """A suggestion of the champion that a challenger is to be asked about too, under a lease.

    suggested_at : when the champion was asked, which chooses the rules
    """

    job_id: int
    fence: int
    attempts: int
    suggestion_key: int
    case_key: int
    version: int
    suggestion_id: str
    suggested_at: datetime


@dataclass(frozen=True)
class NewPhoto:
    """fingerprint : of `models.fingerprint`, to know the photo again"""

    digest: str
    n_bytes: int
    width: int
    height: int
    fingerprint: bytes | None = None


@dataclass(frozen=True)
class ExportedDecision:
    """A standing decision with the version of the case it was made on.

    overturned_on_appeal, changed_on_lead_review : None where there was no appeal, or no lead's review
    blind_ruling : the first ruling committed on that version with no suggestion on screen, withdrawn or not
    seen_before : whether a suggestion on an earlier version was shown to whoever decided, or ruled upon
    """

    decision: Decision
    version: StoredVersion
    overturned_on_appeal: bool | None
    changed_on_lead_review: bool | None
    blind_ruling: Ruling | None
    seen_before: bool
