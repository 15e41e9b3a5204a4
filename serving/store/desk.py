"""The desk's part of the store: holding cases, stepping aside, notices, appeals, switches. One transaction a method.

Knows nothing of HTTP.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection

from models.domain import ProcedureEvent
from models.vocabulary import Claim, ProcedureEventKind
from serving.audit import Action
from serving.desk_records import (
    Appeal,
    AppealDraft,
    Correction,
    CorrectionDraft,
    Notice,
    NoticeText,
    Precedents,
    Switch,
    SwitchDraft,
)
from serving.policy import DeskPolicy
from serving.records import CaseKey, CaseStatus, DecisionRecord, Hold, QueueFilter, Role, StoredVersion, User
from serving.refusals import NameTakenError, SuggestionHiddenError
from serving.store import (
    appeals,
    cases,
    corrections,
    decisions,
    holds,
    notices,
    precedents,
    preferences,
    queue,
    suggestions,
    switches,
    trail,
    users,
)
from serving.store.database import Database

_CLERK = "system:desk"
"""Who notes what time brings about; nobody can sign in by this name."""


class Desk:
    """policy : how decisions are made here"""

    def __init__(self, database: Database, policy: DeskPolicy) -> None:
        self.database = database
        self.policy = policy

    # holding

    def take(self, key: CaseKey, *, by: User) -> Hold:
        """Hold a case, or hold it longer. Raises UnknownError, ForbiddenError, HeldError, LoadCapError."""
        with self.database.write() as connection:
            return holds.take(connection, key, by=by, policy=self.policy, at=_now())

    def take_next(self, *, by: User, wanted: QueueFilter | None = None) -> CaseKey | None:
        """Hold the first case of the queue that this person may decide; None when nothing waits.

        wanted : only among these cases; None means all
        Raises ForbiddenError, LoadCapError.
        """
        reviews = (CaseStatus.AWAITING_LEAD,) if by.role == Role.LEAD else ()
        statuses = (CaseStatus.OPEN, CaseStatus.APPEALED, *reviews)
        with self.database.write() as connection:
            at = _now()
            extra = queue.conditions(wanted, at=at) if wanted is not None else ()
            return holds.take_next(connection, by=by, statuses=statuses, extra=tuple(extra), policy=self.policy, at=at)

    def release(self, key: CaseKey, *, by: User) -> None:
        """Raises UnknownError, HeldError."""
        with self.database.write() as connection:
            holds.release(connection, key, by=by, at=_now())

    def skip(self, key: CaseKey, *, reason: str, by: User) -> None:
        """Let a case go for a while. Raises UnknownError, ForbiddenError, InputError."""
        with self.database.write() as connection:
            holds.step_aside(connection, key, kind="skip", reason=reason, by=by, policy=self.policy, at=_now())

    def recuse(self, key: CaseKey, *, reason: str, by: User) -> None:
        """Let a case go for good (回避). Raises UnknownError, ForbiddenError, InputError."""
        with self.database.write() as connection:
            holds.step_aside(connection, key, kind="recusal", reason=reason, by=by, policy=self.policy, at=_now())

    def is_recused(self, key: CaseKey, *, by: User) -> bool:
        """Return whether a person recused themself from a case. Raises UnknownError."""
        with self.database.read() as connection:
            return holds.is_recused(connection, cases.row_of(connection, key).id, by=by)

    # corrections

    def correct(self, key: CaseKey, draft: CorrectionDraft, *, by: User) -> Correction:
        """Keep what the machine got wrong. Raises UnknownError, ForbiddenError, InputError, SuggestionHiddenError."""
        with self.database.write() as connection:
            version = cases.current(connection, key, for_change=True)
            if decisions.is_hidden(connection, version.case_key):
                raise SuggestionHiddenError
            suggestion = suggestions.newest(connection, case_key=version.case_key, version=version.version)
            return corrections.correct(connection, version, draft, suggestion=suggestion, by=by, at=_now())

    def withdraw_correction(self, key: CaseKey, correction_id: str, *, by: User) -> Correction:
        """Raises UnknownError, ForbiddenError."""
        with self.database.write() as connection:
            return corrections.withdraw(connection, key, correction_id, by=by, at=_now())

    def corrections(self, key: CaseKey) -> tuple[Correction, ...]:
        with self.database.read() as connection:
            return corrections.of_case(connection, cases.row_of(connection, key).id)

    # what was ruled, here and on comparable cases

    def decisions(self, key: CaseKey) -> tuple[DecisionRecord, ...]:
        """Return every decision on a case, in order, with where each stands. Raises UnknownError."""
        with self.database.read() as connection:
            return decisions.history(connection, cases.row_of(connection, key).id).records

    def precedents(self, key: CaseKey, *, reader: User) -> Precedents:
        """Return the nearest earlier rulings under the same rules, those outside the reader's queues unnamed.

        Raises UnknownError.
        """
        with self.database.read() as connection:
            row = cases.row_of(connection, key)
            return precedents.as_seen_by(reader, precedents.comparable(connection, row), claim=Claim(row.claim))

    # what a person set for themselves

    def preferences(self, *, of: User, kind: str) -> dict[str, str]:
        with self.database.read() as connection:
            return preferences.of_user(connection, of, kind=kind)

    def keep_preference(self, name: str, value: str, *, of: User, kind: str) -> None:
        """Raises InputError."""
        with self.database.write() as connection:
            preferences.keep(connection, of, kind=kind, values={name: value}, at=_now())

    def replace_preferences(self, values: dict[str, str], *, of: User, kind: str) -> None:
        """Keep these by name, and none of this kind beside them. Raises InputError."""
        with self.database.write() as connection:
            preferences.replace(connection, of, kind=kind, values=values, at=_now())

    def drop_preference(self, name: str, *, of: User, kind: str) -> None:
        with self.database.write() as connection:
            preferences.drop(connection, of, kind=kind, name=name, at=_now())

    # notices, appeals

    def notices(self, key: CaseKey) -> tuple[Notice, ...]:
        """Return a case's notices, the newest first. Raises UnknownError."""
        with self.database.read() as connection:
            return notices.of_case(connection, cases.row_of(connection, key).id)

    def edit_notice(self, key: CaseKey, notice_id: str, text: NoticeText, *, by: User) -> Notice:
        """Raises UnknownError, ForbiddenError, NoticeSentError."""
        with self.database.write() as connection:
            return notices.edit(connection, key, notice_id, text, by=by, at=_now())

    def send_notice(self, key: CaseKey, notice_id: str, *, by: User) -> Notice:
        """Raises UnknownError, ForbiddenError, NoticeSentError."""
        with self.database.write() as connection:
            return notices.send_now(connection, key, notice_id, by=by, at=_now())

    def file_appeal(self, key: CaseKey, draft: AppealDraft, *, by: User) -> Appeal:
        """Raises UnknownError, NothingToReviewError."""
        with self.database.write() as connection:
            return appeals.file(connection, key, draft, by=by, at=_now())

    def appeal_of(self, key: CaseKey) -> Appeal | None:
        with self.database.read() as connection:
            return appeals.of_case(connection, cases.row_of(connection, key).id)

    # what time brings about

    def keep_up(self) -> int:
        """Send the notices whose undo window is over, and reopen cases whose evidence deadline has passed.

        Returns how much was done. Safe to run in several processes.
        """
        with self.database.write() as connection:
            at = _now()
            return notices.send_due(connection, at=at) + sum(
                self._lapse(connection, key, at) for key in queue.lapsed(connection, at=at)
            )

    def _lapse(self, connection: Connection, key: CaseKey, at: datetime) -> bool:
        """A party let its time for evidence pass: that is filed as such, and the case goes on."""
        old = cases.current(connection, key, for_change=True)
        past = decisions.history(connection, old.case_key)
        asked = [
            record.decision.request
            for record in past.records
            if record.state == "standing" and record.decision.request is not None
        ]
        if not asked:
            return False
        clerk = _clerk(connection, at=at)
        steps = old.case.timeline
        moment = max(at, steps[-1].at) if steps else at
        missed = ProcedureEvent(
            at=moment, event=ProcedureEventKind.DEADLINE_MISSED, by=asked[-1].party.value, note="evidence"
        )
        case = old.case.model_copy(update={"timeline": (*steps, missed)})
        intake = cases.change(connection, old, case, by=clerk.name, at=at)
        new = StoredVersion(old.case_key, case, intake.version, old.digests)
        decisions.answer_requests(connection, new, by=clerk, at=at, reason=missed.event.value)
        return True

    # the kill switch

    def switch_off(self, draft: SwitchDraft, *, by: User) -> Switch:
        """Raises ForbiddenError."""
        with self.database.write() as connection:
            return switches.switch_off(connection, draft, by=by, at=_now())

    def switch_on(self, switch_id: str, *, by: User) -> Switch:
        """Raises UnknownError, ForbiddenError."""
        with self.database.write() as connection:
            return switches.switch_on(connection, switch_id, by=by, at=_now())

    def switches(self) -> tuple[Switch, ...]:
        with self.database.read() as connection:
            return switches.history(connection)

    def is_off(self, key: CaseKey) -> bool:
        """Return whether suggestions on this case are switched off. Raises UnknownError."""
        with self.database.read() as connection:
            row = cases.row_of(connection, key)
            return switches.is_off(connection, claim=row.claim, platform=row.platform)


def _clerk(connection: Connection, *, at: datetime) -> User:
    found = users.find(connection, _CLERK)
    if found is not None:
        return found.user
    try:
        clerk = users.add(connection, _CLERK, role=Role.SERVICE, password_hash=None, at=at)
    except NameTakenError:  # another process added the name at the same moment
        return users.named(connection, _CLERK)
    detail: trail.Detail = {"role": clerk.role.value, "queues": None}
    trail.record(connection, Action.USER_ADDED, actor=_CLERK, subject=f"user:{_CLERK}", at=at, detail=detail)
    return clerk


def _now() -> datetime:
    return datetime.now(UTC)
