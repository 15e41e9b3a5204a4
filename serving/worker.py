"""The scoring worker: leases jobs, scores the case, stores the suggestion if the case hasn't changed meanwhile.

Any number of workers may run, in this process or others. A lost worker's job is taken over when its lease ends; what
it writes afterwards is refused by the fencing token. Knows nothing of HTTP.
"""

import os
import threading
import uuid

import structlog

from models.privacy import mask
from serving.case_files import read_case_file
from serving.inspection import Inspector
from serving.photo_store import PhotoStore
from serving.records import ScoreJob, StoredVersion
from serving.refusals import LeaseLostError, ScoringBusyError
from serving.scoring import Scoring
from serving.store import Store

_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 300.0

log = structlog.get_logger(__name__)


class ScoringWorker:
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
        self.store = store
        self.photos = photos
        self.scoring = scoring
        self.lease_s = lease_s
        self.max_attempts = max_attempts
        self.poll_s = poll_s
        self.inspector = inspector
        self.name = f"worker-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, *, timeout_s: float = 10) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def run(self) -> None:
        """Work until stopped. A database that doesn't answer is waited for."""
        while not self._stopping.is_set():
            try:
                worked = self.work_once()
            except Exception:
                log.exception("worker_trouble", worker=self.name)
                worked = False
            if not worked:
                self._stopping.wait(self.poll_s)

    def work_once(self) -> bool:
        """Do one job; return whether there was one. Without a model, jobs wait."""
        if self.scoring.suggester is None:
            return False
        job = self.store.lease_job(worker=self.name, lease_s=self.lease_s)
        if job is None:
            return False
        try:
            self._do(job)
        except LeaseLostError:
            log.warning("lease_lost", job=job.job_id, worker=self.name)
        return True

    def _do(self, job: ScoreJob) -> None:
        if not self.store.is_wanted(job):
            self.store.drop_job(job)
            return
        try:
            version = self.store.version_by_key(job.case_key, job.version)
            file = read_case_file(
                version, self.photos, on_corrupt=lambda digest: log.error("photo_corrupt", digest=digest)
            )
            suggestion = self.scoring.suggest(file)
        except ScoringBusyError as error:
            self.store.fail_job(job, str(error), worker=self.name, retry_in_s=_FIRST_RETRY_S)
        except Exception as error:
            log.exception("scoring_failed", job=job.job_id, attempt=job.attempts)
            self.store.fail_job(job, _said(error), worker=self.name, retry_in_s=self._retry_in(job))
        else:
            current = self.store.finish_job(job, suggestion, worker=self.name)
            log.info("scored", job=job.job_id, current=current, model_version=suggestion.model_version)
            self._inspect(version)

    def _inspect(self, version: StoredVersion) -> None:
        """Look at the photos once the suggestion is out; trouble there costs nothing but the findings."""
        if self.inspector is None or not version.digests:
            return
        try:
            self.inspector.inspect(version)
        except Exception:
            log.exception("photo_checks_failed", case=version.case_key, version=version.version)

    def _retry_in(self, job: ScoreJob) -> float | None:
        if job.attempts >= self.max_attempts:
            return None
        return float(min(_FIRST_RETRY_S * 2 ** (job.attempts - 1), _LONGEST_RETRY_S))


def _said(error: Exception) -> str:
    return mask(f"{type(error).__name__}: {error}"[:500])
