"""Everything the service keeps, behind one object: each method is one transaction.

All SQL of the project is in this package. Photo bytes are kept by `serving.photo_store`; a file is written before the
row that names it. Knows nothing of HTTP, of passwords or of how suggestions are made.

Rows are locked in one order, so that no two transactions wait for each other: cases first, by their keys; then what is
kept of them, such as jobs, photos and findings; the end of the audit trail last. Who makes an entry under a case's id
holds the case, or a message about it, so that no entry names a case that is erased meanwhile. Who picks many cases
in another order passes over those that somebody else holds.
"""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from models.domain import Case, Decision, DecisionDraft, Suggestion
from models.vocabulary import Claim
from serving.audit import Action, AuditEvent, AuditHead, Broken, Verified
from serving.desk_records import Correction, NoticeText
from serving.migration import current_revision, newest_revision, upgrade
from serving.policy import DeskPolicy
from serving.records import (
    CaseKey,
    CaseStatus,
    CaseView,
    DecisionRecord,
    EvidenceDraft,
    ExportedDecision,
    Intake,
    NewPhoto,
    Order,
    QueueFilter,
    QueuePage,
    StoredVersion,
    User,
    WithdrawalDraft,
)
from serving.refusals import StorageError
from serving.store import (
    cases,
    corrections,
    decisions,
    evidence,
    holds,
    idempotency,
    notices,
    outcomes,
    queue,
    suggestions,
    switches,
    trail,
    users,
)
from serving.store.accounts import Accounts
from serving.store.database import Database
from serving.store.desk import Desk
from serving.store.erasure import Erasures
from serving.store.idempotency import RequestKeys
from serving.store.observations import Observations
from serving.store.outbox import Outbox
from serving.store.oversight import Oversight
from serving.store.photo_checks import PhotoChecks
from serving.store.retention import Ageing
from serving.store.retrainings import Retrainings
from serving.store.score_queue import ScoreQueue
from serving.store.shadows import Shadows
from serving.store.showings import Showings
from serving.store.trail import Detail

_LOTS = random.SystemRandom()
"""Which cases are decided blind first is drawn where nobody can foresee it."""


class Store:
    """url : database address; the schema is brought up to date by `migrate`
    policy : how decisions are made here
    """

    def __init__(self, url: str, *, policy: DeskPolicy | None = None) -> None:
        self.database = Database(url, before_commit=_before_commit)
        self.snapshot = self.database.snapshot
        self.policy = policy or DeskPolicy()
        self.accounts = Accounts(self.database)
        self.request_keys = RequestKeys(self.database)
        self.outbox = Outbox(self.database)
        self.score_queue = ScoreQueue(self.database)
        self.desk = Desk(self.database, self.policy)
        self.photo_checks = PhotoChecks(self.database)
        self.oversight = Oversight(self.database)
        self.retrainings = Retrainings(self.database)
        self.erasures = Erasures(self.database)
        self.ageing = Ageing(self.database)
        self.shadows = Shadows(self.database)
        self.showings = Showings(self.database)
        self.observations = Observations(self.database)

    def migrate(self) -> None:
        """Bring the schema up to date, and chain what was written in the trail before there was a chain."""
        with self.database.alter() as connection:
            upgrade(connection)
        with self.database.write():
            pass

    def ping(self) -> None:
        """Raise StorageError when the database doesn't answer, or not in the schema that this program knows."""
        with self.database.read() as connection:
            if current_revision(connection) != newest_revision():
                raise StorageError("the database has the schema of another version of this program")
            queue.counts(connection)

    def close(self) -> None:
        self.database.close()

    # cases

    def take_in(self, case: Case, *, by: User) -> Intake:
        """Store a new case; the same again changes nothing. Raises CaseExistsError."""
        with self.database.write() as connection:
            blind = _LOTS.random() < self.policy.blind_share
            return cases.take_in(connection, case, by=by.name, at=_now(), blind=blind)

    def replace_case(self, key: CaseKey, case: Case, *, by: User) -> Intake:
        """Store a whole new content as the next version. Raises UnknownError, CaseClosedError."""
        with self.database.write() as connection:
            old = cases.current(connection, key, for_change=True)
            intake = cases.change(connection, old, case, by=by.name, at=_now())
            self._answer(connection, old, intake, by=by)
            return intake

    def add_evidence(self, key: CaseKey, draft: EvidenceDraft, *, by: User) -> Intake:
        """Add what is new in `draft`. Raises UnknownError, CaseClosedError, CaseFormatError."""
        with self.database.write() as connection:
            old = cases.current(connection, key, for_change=True)
            intake = cases.change(connection, old, evidence.merged(old.case, draft), by=by.name, at=_now())
            self._answer(connection, old, intake, by=by)
            return intake

    def add_photo(self, key: CaseKey, photo_id: str, photo: NewPhoto, *, by: User) -> Intake:
        """Note which bytes a listed photo has. Raises UnknownError, CaseClosedError."""
        with self.database.write() as connection:
            old = cases.current(connection, key, for_change=True)
            intake = cases.add_photo(connection, old, photo_id, photo, by=by.name, at=_now())
            self._answer(connection, old, intake, by=by)
            return intake

    def _answer(self, connection: Connection, old: StoredVersion, intake: Intake, *, by: User) -> None:
        if intake.changed:
            new = StoredVersion(old.case_key, old.case, intake.version, old.digests)
            decisions.answer_requests(connection, new, by=by, at=_now())

    def version(self, key: CaseKey) -> StoredVersion:
        """Return the current version with its photos' digests. Raises UnknownError."""
        with self.database.read() as connection:
            return cases.current(connection, key)

    def version_by_key(self, case_key: int, version: int) -> StoredVersion:
        with self.database.read() as connection:
            return cases.version_of(connection, case_key=case_key, version=version)

    def oldest_photos(self, *, limit: int) -> list[str]:
        """Return the digests of the photos that were filed first."""
        with self.database.read() as connection:
            return cases.oldest_photos(connection, limit=limit)

    def claim_of(self, key: CaseKey) -> Claim:
        """Raises UnknownError."""
        with self.database.read() as connection:
            return Claim(cases.row_of(connection, key).claim)

    def view(self, key: CaseKey) -> CaseView:
        """Return what may be shown of a case at its current version. Raises UnknownError.

        What the machine says is left out while the case is blind or suggestions of its kind are switched off.
        """
        with self.database.read() as connection:
            row = cases.row_of(connection, key)
            version = cases.version_of(connection, case_key=row.id, version=row.version)
            hidden = bool(row.blind and row.committed_at is None)
            off = switches.is_off(connection, claim=row.claim, platform=row.platform)
            newest = suggestions.newest(connection, case_key=row.id, version=row.version)
            return CaseView(
                case=version.case,
                version=version.version,
                status=CaseStatus(row.status),
                created_at=row.created_at,
                updated_at=row.updated_at,
                photos=cases.photos_on_file(connection, version),
                suggestion=None if hidden or off else newest,
                suggestion_state="off" if off else row.suggestion_state,
                suggestion_problem=None if hidden or off else row.suggestion_problem,
                hidden=hidden,
                due_at=row.due_at,
                clock=row.clock,
                hold=holds.of_case(connection, row.id, at=_now()),
                assigned_to=users.name_of(connection, row.assigned_to),
                decisions=decisions.history(connection, row.id).records,
            )

    def queue(
        self, wanted: QueueFilter, *, cursor: str | None = None, limit: int = 50, order: Order = "opened"
    ) -> QueuePage:
        """Return a page of cases, oldest or most urgent first. Raises InputError on a cursor of another order."""
        with self.database.read() as connection:
            off = switches.active(connection)
            return queue.page(connection, wanted, cursor=cursor, limit=limit, order=order, at=_now(), off=off)

    def newest_suggestion(self, version: StoredVersion) -> Suggestion | None:
        """Return what the machine says of a version, whether or not it may be shown."""
        with self.database.read() as connection:
            return suggestions.newest(connection, case_key=version.case_key, version=version.version)

    def counts(self) -> dict[CaseStatus, int]:
        with self.database.read() as connection:
            return queue.counts(connection)

    def hidden(self) -> frozenset[CaseKey]:
        """Return the cases on which nothing of the machine may show yet."""
        with self.database.read() as connection:
            return queue.hidden(connection)

    # suggestions

    def keep_suggestion(self, version: StoredVersion, suggestion: Suggestion, *, by: str) -> bool:
        """Store a suggestion if its version is still current; return whether it is."""
        key = CaseKey(version.case.platform, version.case.case_id)
        with self.database.write() as connection:
            return suggestions.keep(
                connection,
                suggestion,
                key=key,
                case_key=version.case_key,
                version=version.version,
                actor=by,
                at=_now(),
            )

    # decisions

    def decide(
        self,
        key: CaseKey,
        draft: DecisionDraft,
        *,
        by: User,
        input_digest: str,
        judged_version: int | None = None,
        write_notice: Callable[[Decision], NoticeText] | None = None,
    ) -> Decision:
        """Record a person's decision. The first one of a stage stands. The person's hold on the case ends.

        judged_version : the version on screen; a newer one on file refuses the decision
        write_notice : says what both parties are told; not asked where a lead must review the ruling first
        Raises UnknownError, ForbiddenError, StaleVersionError, AlreadyDecidedError, NothingToReviewError,
        HeldError, InputError.
        """
        with self.database.write() as connection:
            at = _now()
            version = cases.current(connection, key, for_change=True)
            decision = decisions.decide(
                connection,
                version,
                draft,
                by=by,
                judged_version=judged_version,
                input_digest=input_digest,
                policy=self.policy,
                at=at,
            )
            holds.check(connection, version.case_key, by=by, at=at)
            holds.check_recusal(connection, version.case_key, by=by)
            holds.drop(connection, version.case_key, at=at)
            if write_notice is not None and not decision.four_eyes:
                notices.write(
                    connection,
                    write_notice(decision),
                    case_key=version.case_key,
                    key=key,
                    decision_id=decision.decision_id,
                    by=by,
                    send_after=at + self.policy.undo,
                    at=at,
                )
            idempotency.answer_with(connection, 201, decision)
            return decision

    def withdraw(self, key: CaseKey, draft: WithdrawalDraft, *, by: User) -> DecisionRecord:
        """Raises UnknownError, NothingToReviewError, ForbiddenError."""
        with self.database.write() as connection:
            version = cases.current(connection, key, for_change=True)
            holds.check_recusal(connection, version.case_key, by=by)
            record = decisions.withdraw(
                connection, version, draft.stage, reason=draft.reason, by=by, policy=self.policy, at=_now()
            )
            notices.void(connection, record.decision.decision_id)
            idempotency.answer_with(connection, 201, record)
            return record

    def standing_decisions(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[ExportedDecision]:
        """Return the decisions of [since, until) that stand, each with the case version it was made on.

        A case's last standing stage only: what an appeal overturned is said on the decision of the appeal.
        """
        with self.database.read() as connection:
            return outcomes.standing_between(connection, since=since, until=until)

    # corrections

    def corrections_between(self, *, since: datetime | None = None, until: datetime | None = None) -> list[Correction]:
        """Return the corrections of [since, until) that were not taken back."""
        with self.database.read() as connection:
            return list(corrections.made_between(connection, since=since, until=until))

    # the trail

    def audit_trail(self, *, subject: str | None = None, limit: int = 1000) -> Sequence[AuditEvent]:
        with self.database.read() as connection:
            return trail.entries(connection, subject=subject, limit=limit)

    def audit_head(self) -> AuditHead:
        with self.database.read() as connection:
            return trail.head(connection)

    def verify_audit(self, *, heads: Sequence[AuditHead] = ()) -> Verified | Broken:
        """Check the whole trail against itself, against heads exported earlier, and the rows that it answers for."""
        with self.database.read() as connection:
            return trail.verify(connection, heads=heads)

    def note(self, action: Action, *, actor: str, subject: str, detail: Detail) -> None:
        """Write an entry for a change made outside the database, such as an export."""
        with self.database.write() as connection:
            trail.record(connection, action, actor=actor, subject=subject, at=_now(), detail=detail)


def _before_commit(connection: Connection) -> None:
    idempotency.mark(connection, at=_now())
    trail.seal(connection)


def _now() -> datetime:
    return datetime.now(UTC)
