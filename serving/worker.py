"""The scoring worker: leases jobs, scores the case, stores the suggestion if the case hasn't changed meanwhile.

Any number of workers may run, in this process or others. A lost worker's job is taken over when its lease ends; what
it writes afterwards is refused by the fencing token. Knows nothing of HTTP.
"""

import os
import uuid
from contextlib import suppress

import structlog

from models.privacy import mask
from serving.case_files import read_case_file
from serving.inspection import Inspector
from serving.loop import Loop
from serving.photo_store import PhotoStore
from serving.records import ScoreJob, StoredVersion
from serving.refusals import LeaseLostError, ScoringBusyError
from serving.scoring import Scoring
from serving.store import Store

_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 300.0

log = structlog.get_logger(__name__)


class ScoringWorker(Loop):
    """lease_s : must exceed the time one case takes; poll_s : pause when there is nothing to do

    inspector : looks at the photos of a case once it is scored
    """

    def __init__(
        self,
        store: Store,
        photos: PhotoStore,
        scoring: Scoring,
        *,
        lease_s: float,
        max_attempts: int,
        poll_s: float,
        inspector: Inspector | None = None,
    ) -> None:
        super().__init__(name=f"worker-{os.getpid()}-{uuid.uuid4().hex[:6]}", pause_s=poll_s)
        self.store = store
        self.photos = photos
        self.scoring = scoring
        self.lease_s = lease_s
        self.max_attempts = max_attempts
        self.inspector = inspector
        self._in_hand: ScoreJob | None = None

    def stop(self, *, timeout_s: float | None = None) -> bool:
        """Let the job in hand end; if it takes too long, give it back, so that another worker needn't wait for it."""
        in_time, job = super().stop(timeout_s=timeout_s), self._in_hand
        if not in_time and job is not None:
            with suppress(LeaseLostError):
                self.store.score_queue.give_back(job)
                log.info("job_given_back", job=job.job_id, worker=self.name)
        return in_time

    def work_once(self) -> bool:
        """Do one job; return whether there was one. Without a model, jobs wait."""
        if self.scoring.suggester is None:
            return False
        job = self.store.score_queue.lease(worker=self.name, lease_s=self.lease_s)
        if job is None:
            return False
        self._in_hand = job
        try:
            self._do(job)
        except LeaseLostError:
            log.warning("lease_lost", job=job.job_id, worker=self.name)
        finally:
            self._in_hand = None
        return True

    def _do(self, job: ScoreJob) -> None:
        if not self.store.score_queue.is_wanted(job, worker=self.name):
            self.store.score_queue.drop(job)
            return
        try:
            version = self.store.version_by_key(job.case_key, job.version)
            file = read_case_file(
                version, self.photos, on_corrupt=lambda digest: log.error("photo_corrupt", digest=digest)
            )
            suggestion = self.scoring.suggest(file)
        except ScoringBusyError as error:
            self.store.score_queue.fail(job, str(error), worker=self.name, retry_in_s=_FIRST_RETRY_S)
        except Exception as error:
            log.exception("scoring_failed", job=job.job_id, attempt=job.attempts)
            self.store.score_queue.fail(job, _said(error), worker=self.name, retry_in_s=self._retry_in(job))
        else:
            current = self.store.score_queue.finish(job, suggestion, worker=self.name)
            log.info("scored", job=job.job_id, current=current, model_version=suggestion.model_version)
            self._inspect(version)

    def _inspect(self, version: StoredVersion) -> None:
        """Look at the photos once the suggestion is out; trouble there costs nothing but the findings."""
        if self.inspector is None or not version.digests:
            return
        try:
            self.inspector.inspect(version, by=f"system:{self.name}")
        except Exception:
            log.exception("photo_checks_failed", case=version.case_key, version=version.version)

    def _retry_in(self, job: ScoreJob) -> float | None:
        if job.attempts >= self.max_attempts:
            return None
        return float(min(_FIRST_RETRY_S * 2 ** (job.attempts - 1), _LONGEST_RETRY_S))


def _said(error: Exception) -> str:
    return mask(f"{type(error).__name__}: {error}")[:500]
