"""What is kept how long, and letting it go when its time is over: by a command that is run every day.

Knows nothing of how anything is erased.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from serving.audit import Action
from serving.backlog_jobs import BacklogJobs
from serving.erasure import Eraser
from serving.periods import Periods
from serving.refusals import RefusalError
from serving.store import Store
from serving.store.retention import RowKind
from serving.store.trail import Detail

_LONGEST_PAUSE = timedelta(days=30)
_ACTOR = "system:retention"
_ROWS: tuple[RowKind, ...] = ("messages", "requests", "sign_ins")


class ClockDoubtedError(RefusalError):
    """A clock that ran ahead would let go of everything; so would one that is right after a long pause.

    before, after : what the clock said of two things that followed each other, the run itself perhaps the second
    """

    def __init__(self, *, before: datetime, after: datetime) -> None:
        super().__init__(
            f"the clock went from {before:%Y-%m-%d} to {after:%Y-%m-%d} and nothing happened here in between; "
            "if the clock is right and was right then, say --after-a-pause"
        )
        self.before, self.after = before, after


@dataclass(frozen=True)
class Passed:
    """n : how many cases, rows or folders of a kind were past their time; left : of them, not yet to be let go"""

    kind: str
    days: float | None
    n: int
    left: int = 0


class Retention:
    def __init__(self, store: Store, backlogs: BacklogJobs, eraser: Eraser, periods: Periods) -> None:
        self.store = store
        self.backlogs = backlogs
        self.eraser = eraser
        self.periods = periods

    def apply(self, *, dry_run: bool = False, after_a_pause: bool = False) -> list[Passed]:
        """Let go of what is past its time and say what that was; with `dry_run`, only say it.

        after_a_pause : nothing happened here for long, now or earlier, and the clock is right all the same
        Raises ClockDoubtedError, StorageError.
        """
        now = datetime.now(UTC)
        if not (dry_run or after_a_pause):
            self._check_clock(now)
        found = [*self._rows(now, dry_run), *self._backlogs(now, dry_run), *self._photos(now, dry_run)]
        found += self._cases(now, dry_run)
        if not dry_run and (after_a_pause or any(passed.n for passed in found)):
            detail: Detail = {passed.kind: passed.n for passed in found}
            self.store.note(Action.RETENTION_APPLIED, actor=_ACTOR, subject="retention", detail=detail)
        return found

    def _check_clock(self, now: datetime) -> None:
        """One entry made under a wrong clock would look like life, so every step of the trail is looked at."""
        pause = self.store.ageing.longest_pause(until=now)
        if pause is not None and abs(pause[1] - pause[0]) > _LONGEST_PAUSE:
            raise ClockDoubtedError(before=pause[0], after=pause[1])

    def _rows(self, now: datetime, dry_run: bool) -> Iterator[Passed]:
        for kind in _ROWS:
            days: float | None = getattr(self.periods, f"keep_{kind}_days")
            n = 0
            if days is not None:
                before = now - timedelta(days=days)
                ageing = self.store.ageing
                n = ageing.count(kind, before=before) if dry_run else ageing.drop(kind, before=before, by=_ACTOR)
            yield Passed(kind, days, n)

    def _backlogs(self, now: datetime, dry_run: bool) -> Iterator[Passed]:
        days, n = self.periods.keep_backlogs_days, 0
        for job in self.backlogs.all() if days is not None else ():
            if job.created_at < now - timedelta(days=days or 0) and job.is_ended:
                n += 1
                if not dry_run:
                    self.eraser.remove_backlog(job.job_id, by=_ACTOR)
        yield Passed("backlogs", days, n)

    def _photos(self, now: datetime, dry_run: bool) -> Iterator[Passed]:
        """The files go with the sweep that ends the erasure of cases."""
        days, n = self.periods.keep_photos_days, 0
        if days is not None:
            before = now - timedelta(days=days)
            for key in self.store.ageing.cases(before=before, with_photos=True):
                n += 1
                if not dry_run:
                    self.store.ageing.drop_photos(key, before=before, by=_ACTOR)
        yield Passed("photos", days, n)

    def _cases(self, now: datetime, dry_run: bool) -> Iterator[Passed]:
        days = self.periods.keep_cases_days
        keys = self.store.ageing.cases(before=now - timedelta(days=days)) if days is not None else []
        left = 0
        if not dry_run:
            left = len(self.eraser.erase_cases(keys, by=_ACTOR, reason=f"kept for {days} days").left)
        yield Passed("cases", days, len(keys), left)
