"""Everything the service keeps, behind one object: each method is one transaction.

All SQL of the project is in this package. Photo bytes are kept by `serving.photo_store`; a file is written before the
row that names it. Knows nothing of HTTP, of passwords or of how suggestions are made.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from models.domain import Case, Decision, DecisionDraft, Suggestion
from models.vocabulary import Claim, Stage
from serving.audit import Action, AuditEvent, AuditHead, Broken, Verified
from serving.desk_records import Correction, CorrectionDraft
from serving.migration import upgrade
from serving.records import (
    CaseKey,
    CaseStatus,
    CaseView,
    DecisionRecord,
    EvidenceDraft,
    ExportedDecision,
    Intake,
    NewPhoto,
    QueueFilter,
    QueuePage,
    ScoreJob,
    StoredVersion,
    User,
    WithdrawalDraft,
)
from serving.store import cases, corrections, decisions, evidence, idempotency, jobs, queue, suggestions, trail
from serving.store.accounts import Accounts
from serving.store.database import Database
from serving.store.trail import Detail


class Store:
    """url : database address; the schema is brought up to date by `migrate`"""

    def __init__(self, url: str) -> None:
        self.database = Database(url, before_commit=trail.seal)
        self.accounts = Accounts(self.database)

    def migrate(self) -> None:
        """Bring the schema up to date, and chain what was written in the trail before there was a chain."""
        with self.database.alter() as connection:
            upgrade(connection)
        with self.database.write():
            pass

    def ping(self) -> None:
        """Raise when the database doesn't answer."""
        with self.database.read() as connection:
            queue.counts(connection)

    def close(self) -> None:
        self.database.close()

    # cases

    def take_in(self, case: Case, *, by: User) -> Intake:
        """Store a new case; the same again changes nothing. Raises CaseExistsError."""
        with self.database.write() as connection:
            return cases.take_in(connection, case, by=by.name, at=_now())

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

    def claim_of(self, key: CaseKey) -> Claim:
        """Raises UnknownError."""
        with self.database.read() as connection:
            return Claim(cases.row_of(connection, key).claim)

    def view(self, key: CaseKey) -> CaseView:
        """Return all of a case at its current version. Raises UnknownError."""
        with self.database.read() as connection:
            row = cases.row_of(connection, key)
            version = cases.version_of(connection, case_key=row.id, version=row.version)
            return CaseView(
                case=version.case,
                version=version.version,
                status=CaseStatus(row.status),
                created_at=row.created_at,
                updated_at=row.updated_at,
                photos=cases.photos_on_file(connection, version),
                suggestion=suggestions.newest(connection, case_key=row.id, version=row.version),
                suggestion_state=row.suggestion_state,
                suggestion_problem=row.suggestion_problem,
                decisions=decisions.history(connection, row.id).records,
            )

    def queue(self, wanted: QueueFilter, *, cursor: str | None = None, limit: int = 50) -> QueuePage:
        """Return a page of cases, oldest first. Raises InputError on a foreign cursor."""
        with self.database.read() as connection:
            return queue.page(connection, wanted, cursor=cursor, limit=limit)

    def counts(self) -> dict[CaseStatus, int]:
        with self.database.read() as connection:
            return queue.counts(connection)

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

    def lease_job(self, *, worker: str, lease_s: float) -> ScoreJob | None:
        with self.database.write() as connection:
            return jobs.lease(connection, worker=worker, at=_now(), lease_s=lease_s)

    def is_current(self, job: ScoreJob) -> bool:
        with self.database.read() as connection:
            return cases.current(connection, cases.key_of(connection, job.case_key)).version == job.version

    def drop_job(self, job: ScoreJob) -> None:
        with self.database.write() as connection:
            jobs.finish(connection, job, at=_now(), state="dropped")

    def finish_job(self, job: ScoreJob, suggestion: Suggestion, *, worker: str) -> bool:
        """Close the job and store its suggestion together. Returns whether the version was still current.

        Raises LeaseLostError, and stores nothing, when another worker took the job over.
        """
        with self.database.write() as connection:
            jobs.finish(connection, job, at=_now())
            return suggestions.keep(
                connection,
                suggestion,
                key=cases.key_of(connection, job.case_key),
                case_key=job.case_key,
                version=job.version,
                actor=f"system:{worker}",
                at=_now(),
            )

    def fail_job(self, job: ScoreJob, problem: str, *, worker: str, retry_in_s: float | None) -> None:
        """Let a job wait for another attempt, or give it up for good and say so on the case.

        Raises LeaseLostError when another worker took the job over.
        """
        with self.database.write() as connection:
            at = _now()
            if retry_in_s is not None:
                jobs.put_back(connection, job, run_after=at + timedelta(seconds=retry_in_s), problem=problem)
                return
            jobs.finish(connection, job, at=at, state="failed", problem=problem)
            suggestions.mark_failed(
                connection,
                key=cases.key_of(connection, job.case_key),
                case_key=job.case_key,
                version=job.version,
                problem=problem,
                actor=f"system:{worker}",
                at=at,
            )

    def count_open_jobs(self) -> int:
        with self.database.read() as connection:
            return jobs.count_open(connection)

    # decisions

    def decide(
        self,
        key: CaseKey,
        draft: DecisionDraft,
        *,
        by: User,
        input_digest: str,
        judged_version: int | None = None,
        idempotency_key: str | None = None,
        request_digest: str = "",
    ) -> Decision:
        """Record a person's decision. The first one of a stage stands.

        judged_version : the version on screen; a newer one on file refuses the decision
        idempotency_key : the same request again returns the first answer
        Raises UnknownError, ForbiddenError, StaleVersionError, AlreadyDecidedError, NothingToReviewError,
        KeyReusedError, InputError.
        """
        with self.database.write() as connection:
            at = _now()
            if idempotency_key is not None:
                earlier = idempotency.earlier_answer(
                    connection, user=by, key=idempotency_key, request_digest=request_digest, at=at
                )
                if earlier is not None:
                    return Decision.model_validate_json(earlier)
            decision = decisions.decide(
                connection,
                cases.current(connection, key, for_change=True),
                draft,
                by=by,
                judged_version=judged_version,
                input_digest=input_digest,
                at=at,
            )
            if idempotency_key is not None:
                idempotency.keep_answer(connection, user=by, key=idempotency_key, answer=decision.model_dump_json())
            return decision

    def withdraw(self, key: CaseKey, draft: WithdrawalDraft, *, by: User) -> DecisionRecord:
        """Raises UnknownError, NothingToReviewError, ForbiddenError."""
        with self.database.write() as connection:
            version = cases.current(connection, key, for_change=True)
            return decisions.withdraw(connection, version, draft.stage, reason=draft.reason, by=by, at=_now())

    def standing_decisions(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[ExportedDecision]:
        """Return the decisions of [since, until) that stand, each with the case version it was made on.

        A case's last standing stage only: what an appeal overturned is said on the decision of the appeal.
        """
        with self.database.read() as connection:
            touched = decisions.decided_between(connection, since=since, until=until)
            return [
                exported
                for case_key in dict.fromkeys(case_key for case_key, _ in touched)
                if (exported := _exported(connection, case_key)) is not None
                and (since is None or exported.decision.decided_at >= since)
                and (until is None or exported.decision.decided_at < until)
            ]

    # corrections

    def correct(self, key: CaseKey, draft: CorrectionDraft, *, by: User) -> Correction:
        """Keep what the machine got wrong. Raises UnknownError, ForbiddenError, InputError."""
        with self.database.write() as connection:
            version = cases.current(connection, key)
            suggestion = suggestions.newest(connection, case_key=version.case_key, version=version.version)
            return corrections.correct(connection, version, draft, suggestion=suggestion, by=by, at=_now())

    def withdraw_correction(self, key: CaseKey, correction_id: str, *, by: User) -> Correction:
        """Raises UnknownError, ForbiddenError."""
        with self.database.write() as connection:
            return corrections.withdraw(connection, key, correction_id, by=by, at=_now())

    def corrections_of(self, key: CaseKey) -> tuple[Correction, ...]:
        with self.database.read() as connection:
            return corrections.of_case(connection, cases.row_of(connection, key).id)

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
        """Check the whole trail against itself and against heads exported earlier."""
        with self.database.read() as connection:
            return trail.verify(connection, heads=heads)

    def note(self, action: Action, *, actor: str, subject: str, detail: Detail) -> None:
        """Write an entry for a change made outside the database, such as an export."""
        with self.database.write() as connection:
            trail.record(connection, action, actor=actor, subject=subject, at=_now(), detail=detail)


def _exported(connection: Connection, case_key: int) -> ExportedDecision | None:
    past = decisions.history(connection, case_key)
    standing = [r.decision for r in past.records if r.state == "standing"]
    if not standing:
        return None
    last = max(standing, key=lambda decision: list(Stage).index(decision.stage))
    first = past.standing(Stage.FIRST_REVIEW)
    led = past.standing(Stage.LEAD_REVIEW)
    reviewed = led or first
    judged = [r.decision for r in past.records if r.decision.case_version == last.case_version]
    seen_before = any(r.decision.suggestion_shown for r in past.records if r.decision.case_version < last.case_version)
    return ExportedDecision(
        last,
        cases.version_of(connection, case_key=case_key, version=last.case_version),
        overturned_on_appeal=reviewed.ruling != last.ruling if reviewed and last.stage == Stage.APPEAL else None,
        changed_on_lead_review=first.ruling != led.ruling if first and led else None,
        blind_ruling=None if seen_before or judged[0].suggestion_shown else judged[0].ruling,
    )


def _now() -> datetime:
    return datetime.now(UTC)
