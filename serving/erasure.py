"""Erasing what is kept of a case or a party: in the database, the photo folder, backlogs and exported outcomes.

What has left this service or was copied from its folders isn't reached: docs/privacy.md says what to do about it.
Knows no periods.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from models.errors import InputError
from models.privacy import Sealer, mask, pseudonym
from models.vocabulary import Platform
from serving.audit import Action
from serving.backlog_jobs import BacklogJobs, BacklogJobUnderWayError
from serving.export import LOCK_NAME
from serving.file_lock import awaited
from serving.photo_store import PhotoStore
from serving.records import CaseKey
from serving.refusals import StorageError, UnknownError
from serving.reissue import Revoked, reissue
from serving.store import Store
from serving.store.erasure import Side
from serving.store.trail import Detail

Row = Mapping[str, Any]
_LONGEST_REASON = 300
_SIDES: tuple[Side, ...] = ("buyer", "seller")


@dataclass(frozen=True)
class Target:
    """A case, or a party with all of its cases on a platform. side : None for a case"""

    platform: Platform
    name: str
    side: Side | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `taobao/TB-1`, `buyer:taobao/b-77` or `seller:taobao/s-12`. Raises InputError."""
        side = next((side for side in _SIDES if text.startswith(f"{side}:")), None)
        platform, _, name = text.removeprefix(f"{side}:").partition("/")
        if platform not in set(Platform) or not name:
            raise InputError(
                f"{text!r} is neither a case such as taobao/TB-1 nor a party such as buyer:taobao/b-77", field="target"
            )
        return cls(Platform(platform), name, side)

    def is_met_by(self, row: Row, *, sealer: Sealer | None) -> bool:
        """Tell whether a case, as filed or as exported, is the one meant or one of the party's."""
        if row["platform"] != self.platform:
            return False
        if self.side is None:
            return bool(row["case_id"] == self.name)
        names = {self.name}
        for key in {None, sealer}:
            names.add(pseudonym(self.side[0], self.name, platform=self.platform, sealer=key))
        return row["order"][f"{self.side}_id"] in names


@dataclass
class Erased:
    """What was done. left : cases still under way, and why; jobs_left : backlogs under way that hold such a case

    clean : whether the database's own files hold nothing of it any more
    """

    n_cases: int = 0
    left: dict[CaseKey, str] = field(default_factory=dict)
    n_photos: int = 0
    jobs: list[str] = field(default_factory=list)
    jobs_left: list[str] = field(default_factory=list)
    revoked: list[Revoked] = field(default_factory=list)
    clean: bool = True

    @property
    def is_whole(self) -> bool:
        return self.clean and not self.left and not self.jobs_left


class Eraser:
    """delivering : whether messages leave this service; sealer : of reversible exports"""

    def __init__(
        self,
        store: Store,
        photos: PhotoStore,
        backlogs: BacklogJobs,
        *,
        outcomes_dir: Path,
        delivering: bool,
        sealer: Sealer | None = None,
    ) -> None:
        self.store = store
        self.photos = photos
        self.backlogs = backlogs
        self.outcomes_dir = outcomes_dir
        self.delivering = delivering
        self.sealer = sealer

    def erase(self, target: Target, *, by: str, reason: str, under_way_too: bool = False) -> Erased:
        """Erase a case, or every case of a party that is over. Cut off, the same call goes on.

        by : a user of this service, who answers for it; reason : kept in the audit trail, masked
        Raises InputError without a reason, UnknownError when there is no such user or nothing is kept of the target.
        """
        if not reason.strip():
            raise InputError("is required", field="reason")
        actor = self.store.accounts.named(by).name
        done = self.erase_cases(
            self._keys(target),
            also=lambda row: target.is_met_by(row, sealer=self.sealer),
            by=actor,
            reason=reason,
            under_way_too=under_way_too,
        )
        if not (done.n_cases or done.n_photos or done.left or done.jobs or done.jobs_left or done.revoked):
            raise UnknownError("case or party", f"{target.platform}/{target.name}")
        return done

    def erase_cases(
        self,
        keys: Iterable[CaseKey],
        *,
        by: str,
        reason: str,
        also: Callable[[Row], bool] = lambda _: False,
        under_way_too: bool = False,
    ) -> Erased:
        """Erase those cases that are over: files that can be found by their ids first, the database last.

        also : tells of other cases in backlogs and exports, which the database needn't know
        """
        done, over = Erased(), list[CaseKey]()
        for key in keys:
            why = None if under_way_too else self.store.erasures.why_not_yet(key, delivering=self.delivering)
            if why is None:
                over.append(key)
            else:
                done.left[key] = why
        known = set(over)

        def is_erased(row: Row) -> bool:
            key = row["platform"], row["case_id"]
            return key in known or (key not in done.left and also(row))

        self._drop_backlogs(done, is_erased, by=by)
        said = mask(reason.strip())[:_LONGEST_REASON]
        with self._exports_cleared(done, is_erased, by=by) as had_exports:
            for key in over:
                self.store.erasures.erase(
                    key, by=by, reason=said, delivering=self.delivering, under_way_too=under_way_too
                )
                done.n_cases += 1
        if not had_exports:  # One begun meanwhile made its folder before it read the database.
            with self._exports_cleared(done, is_erased, by=by):
                pass
        done.n_photos = self.photos.remove_unnamed(self.store.erasures.unnamed)
        done.clean = self.store.erasures.scrub()
        return done

    @contextmanager
    def _exports_cleared(self, done: Erased, is_erased: Callable[[Row], bool], *, by: str) -> Iterator[bool]:
        """Wait for an export that is being written, write those that hold a case anew, and let none begin.

        Yields False where nothing was ever exported: no folder is made then, and none locked. Raises StorageError.
        """
        with ExitStack() as held:
            try:
                is_there = self.outcomes_dir.is_dir()
                if is_there:
                    held.enter_context(awaited(self.outcomes_dir / LOCK_NAME))
            except OSError as error:
                raise StorageError(f"{self.outcomes_dir} can't be locked: {error.strerror}") from error
            if is_there:
                done.revoked = reissue(self.outcomes_dir, is_erased=is_erased, note=partial(self._note_revoked, by=by))
            yield is_there

    def _keys(self, target: Target) -> list[CaseKey]:
        if target.side is not None:
            return self.store.erasures.cases_of(target.side, target.name, platform=target.platform)
        key = CaseKey(target.platform, target.name)
        return [key] if self.store.erasures.is_known(key) else []

    def _drop_backlogs(self, done: Erased, is_erased: Callable[[Row], bool], *, by: str) -> None:
        self.backlogs.finish_removals()
        for job in self.backlogs.all():
            if not self.backlogs.holds(job.job_id, is_erased):
                continue
            try:
                self.remove_backlog(job.job_id, by=by)
            except BacklogJobUnderWayError:
                done.jobs_left.append(job.job_id)
            else:
                done.jobs.append(job.job_id)

    def remove_backlog(self, job_id: str, *, by: str) -> None:
        """Remove a backlog, entered first: one cut off in between is known of. Raises BacklogJobUnderWayError."""
        if self.backlogs.find(job_id).state == "running":
            raise BacklogJobUnderWayError(job_id)
        self.store.note(Action.BACKLOG_REMOVED, actor=by, subject=f"backlog:{job_id}", detail={})
        self.backlogs.remove(job_id)

    def _note_revoked(self, revoked: Revoked, *, by: str) -> None:
        detail: Detail = {"replaced_by": revoked.replaced_by}
        self.store.note(Action.OUTCOMES_REVOKED, actor=by, subject=f"export:{revoked.name}", detail=detail)
