"""The challenger in shadow: asked, off every request's path, about cases that the champion has answered.

What it says is kept apart and shown on no case. It is asked only while the champion's own work isn't waiting, at low
priority, and its troubles end with itself. Knows nothing of HTTP.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from models.errors import RegistryError, ReviewError
from models.privacy import mask
from serving.audit import Action
from serving.case_files import read_case_file
from serving.loop import Loop
from serving.model_trial import RefusedModels, tried
from serving.photo_store import PhotoStore
from serving.refusals import LeaseLostError
from serving.store import Store

if TYPE_CHECKING:
    from models.registry import ModelRegistry, RegisteredModel
    from models.suggester import Suggester

_ATTEMPTS = 3
_RETRY_S = 60.0
_NICENESS = 10

log = structlog.get_logger(__name__)


@dataclass
class _Challenger:
    model: "RegisteredModel"
    suggester: "Suggester"
    after: int = 0


class ShadowWorker(Loop):
    """load : turns a model folder into a Suggester; models_dir : of fetched models

    poll_s : pause when there is nothing to do; registry_poll_s : pause between looks at the registry
    """

    def __init__(
        self,
        registry: "ModelRegistry",
        store: Store,
        photos: PhotoStore,
        *,
        models_dir: Path,
        load: "Callable[[Path], Suggester]",
        lease_s: float,
        poll_s: float,
        registry_poll_s: float,
    ) -> None:
        super().__init__(name=f"shadow-{os.getpid()}-{uuid.uuid4().hex[:6]}", pause_s=poll_s)
        self.registry = registry
        self.store = store
        self.photos = photos
        self.models_dir = models_dir
        self.load = load
        self.lease_s = lease_s
        self.registry_poll_s = registry_poll_s
        self._challenger: _Challenger | None = None
        self._refused = RefusedModels()
        self._look_at = 0.0

    def run(self) -> None:
        """Work until stopped, at low priority."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        super().run()

    def work_once(self) -> bool:
        """Ask the challenger about one case; return whether there was one."""
        if not self.store.shadows.state().on:
            self._challenger, self._look_at = None, 0.0
            return False
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + self.registry_poll_s
            try:
                self._look()
            except RegistryError as error:
                log.warning("registry_away", problem=str(error))
        challenger = self._challenger
        if challenger is None:
            return False
        job = self.store.shadows.take(
            number=challenger.model.number,
            model_version=challenger.model.model_version,
            since=challenger.model.registered_at or datetime.min.replace(tzinfo=UTC),
            after=challenger.after,
            worker=self.name,
            lease_s=self.lease_s,
        )
        if job is None:
            return False
        challenger.after = max(challenger.after, job.suggestion_key)
        try:
            version = self.store.version_by_key(job.case_key, job.version)
            file = read_case_file(version, self.photos, on_corrupt=lambda _: None)
            suggestion = challenger.suggester.suggest([file], now=job.suggested_at)[0]
            self.store.shadows.keep(job, suggestion)
        except LeaseLostError:
            log.warning("shadow_lease_lost", job=job.job_id)
        except Exception as error:
            log.exception("shadow_failed", job=job.job_id, attempt=job.attempts)
            retry_in_s = _RETRY_S if job.attempts < _ATTEMPTS else None
            problem = mask(f"{type(error).__name__}: {error}")[:500]
            self.store.shadows.fail(job, problem, retry_in_s=retry_in_s)
        return True

    def _look(self) -> None:
        """Keep up with the registry's challenger; one that can't be loaded is refused, once, on the record.

        One that fails for reasons that may pass is tried again.
        Raises RegistryError when the registry doesn't answer: the challenger at work stays.
        """
        model = self.registry.named("challenger")
        if model is None or model.number in self._refused:
            self._challenger = None
            return
        if self._challenger is not None and self._challenger.model.number == model.number:
            return
        self._challenger = None
        try:
            suggester = tried(self.load, self.registry.fetch(model, self.models_dir))
        except RegistryError:
            raise
        except ReviewError as error:
            if not self._refused.failed(model.number, error):
                log.warning("challenger_failed", number=model.number, problem=str(error))
                return
            log.error("challenger_refused", number=model.number, problem=str(error))
            self.store.note(
                Action.SHADOW_REFUSED,
                actor="system:shadow",
                subject=f"model:{model.number}",
                detail={"model_version": model.model_version, "problem": str(error)[:300]},
            )
            return
        self._refused.worked(model.number)
        self._challenger = _Challenger(model, suggester)
        log.info("challenger_in_shadow", number=model.number, model_version=model.model_version)
