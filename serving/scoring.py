"""Scoring turns: at most so many threads use the Suggester at a time, so that requests can't starve the machine.

Whoever waits meanwhile is scored together next, oldest first, as many as fit a latency budget by the pace seen lately:
a batch never changes a suggestion (to 1e-6), and its encoder passes are fuller. Knows nothing of storage or HTTP.
"""

import io
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.case_file import CaseFile
from models.domain import Case, Suggestion
from models.vocabulary import Claim
from serving.refusals import ModelAbsentError, ScoringBusyError

_MOST_TOGETHER = 16
_PACE_SHARE = 0.2


class SuggestsRulings(Protocol):
    """What the service needs of `models.suggester.Suggester`; importing that one would load heavy libraries."""

    model_version: str

    def suggest(self, files: Sequence[CaseFile]) -> list[Suggestion]: ...


@runtime_checkable
class ShowsHeat(Protocol):
    """A scorer that can say where a photo looks damaged."""

    def heat_map(self, data: bytes) -> NDArray[np.float32] | None: ...


@dataclass(eq=False)
class _Request:
    file: CaseFile
    suggestion: Suggestion | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.suggestion is not None or self.error is not None


class Scoring:
    """suggester : None when no model could be loaded

    turns : batches scored at a time
    wait_s : longest wait for a turn, seconds
    budget_s : how long a batch of those who wait should take at most, seconds; one case is always taken
    """

    def __init__(self, suggester: SuggestsRulings | None, *, turns: int, wait_s: float, budget_s: float = 1.0) -> None:
        self.suggester = suggester
        self.wait_s = wait_s
        self.budget_s = budget_s
        self._free_turns = turns
        self._heat_turn = threading.Semaphore(1)
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._case_s: float | None = None

    @property
    def model_version(self) -> str | None:
        return self.suggester.model_version if self.suggester is not None else None

    def replace(self, suggester: SuggestsRulings) -> None:
        """Put another model to work. What is being scored finishes on the model it began with."""
        self.suggester = suggester

    def suggest(self, file: CaseFile) -> Suggestion:
        """Raises ModelAbsentError, or ScoringBusyError when no turn becomes free in time."""
        if self.suggester is None:
            raise ModelAbsentError
        request = _Request(file)
        deadline = time.monotonic() + self.wait_s
        with self._changed:
            self._waiting.append(request)
        while True:
            with self._changed:
                while not request.is_done and not (request in self._waiting and self._free_turns):
                    left = deadline - time.monotonic() if request in self._waiting else None
                    if left is not None and left <= 0:
                        self._waiting.remove(request)
                        raise ScoringBusyError
                    self._changed.wait(left)
                if request.is_done:
                    return _answer(request)
                batch = self._take_batch()
            try:
                self._score(batch, self.suggester)
            finally:
                with self._changed:
                    self._free_turns += 1
                    for cut_off in (other for other in batch if not other.is_done):
                        cut_off.error = ScoringBusyError()
                    self._changed.notify_all()

    def heat_map(self, data: bytes) -> NDArray[np.float32] | None:
        """Return where a photo looks damaged, in [0, 1] by cell; None where the model can't say. One at a time.

        Raises ScoringBusyError when no turn becomes free in time.
        """
        scorer = getattr(self.suggester, "scorer", None)
        if not isinstance(scorer, ShowsHeat):
            return None
        if not self._heat_turn.acquire(timeout=self.wait_s):
            raise ScoringBusyError
        try:
            return scorer.heat_map(data)
        finally:
            self._heat_turn.release()

    def _take_batch(self) -> list[_Request]:
        """Take a turn and the oldest requests that fit the budget. The lock is held."""
        self._free_turns -= 1
        fitting = int(self.budget_s / self._case_s) if self._case_s else 1
        return [self._waiting.popleft() for _ in range(min(max(1, fitting), _MOST_TOGETHER, len(self._waiting)))]

    def _score(self, batch: list[_Request], suggester: SuggestsRulings) -> None:
        """Answer every request of the batch; a case that can't be scored fails alone."""
        started = time.monotonic()
        try:
            suggestions = suggester.suggest([request.file for request in batch])
            for request, suggestion in zip(batch, suggestions, strict=True):
                request.suggestion = suggestion
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for request in batch:
                self._score([request], suggester)
            return
        pace = (time.monotonic() - started) / len(batch)
        with self._changed:
            self._case_s = pace if self._case_s is None else (1 - _PACE_SHARE) * self._case_s + _PACE_SHARE * pace


def _answer(request: _Request) -> Suggestion:
    if request.error is not None:
        raise request.error
    if request.suggestion is None:
        raise AssertionError("a request is answered before it is done")
    return request.suggestion


def warm_up(suggester: SuggestsRulings) -> None:
    """Score a made-up case of each claim: what loads at first use, and what each claim has the rules asked, is there
    before the first real case.
    """
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    drawn = io.BytesIO()
    Image.new("RGB", (64, 64), (127, 127, 127)).save(drawn, "PNG")
    photos = [
        {"photo_id": role, "role": role, "filed_by": by} for role, by in (("listing", "seller"), ("received", "buyer"))
    ]
    content = {
        "case_id": "warm-up",
        "platform": "other",
        "opened_at": moment,
        "requested": "refund",
        "listing": {},
        "order": {
            "order_id": "warm-up",
            "buyer_id": "buyer",
            "seller_id": "seller",
            "paid_minor": 1,
            "currency": "CNY",
            "goods_state": "received",
        },
        "chat": [{"message_id": "m1", "at": moment, "speaker": "buyer", "text": "收到就碎了 arrived broken"}],
        "photos": photos,
    }
    shown = {str(photo["photo_id"]): drawn.getvalue() for photo in photos}
    suggester.suggest([CaseFile(Case.model_validate({**content, "claim": claim}), shown) for claim in Claim])
