"""Scoring turns: at most so many threads use the Suggester at a time, so that requests can't starve the machine.

Knows nothing of storage or HTTP.
"""

import threading
from collections.abc import Sequence
from typing import Protocol

from models.case_file import CaseFile
from models.domain import Suggestion
from serving.refusals import ModelAbsentError, ScoringBusyError


class SuggestsRulings(Protocol):
    """What the service needs of `models.suggester.Suggester`; importing that one would load heavy libraries."""

    model_version: str

    def suggest(self, files: Sequence[CaseFile]) -> list[Suggestion]: ...


class Scoring:
    """suggester : None when no model could be loaded; wait_s : longest wait for a turn, seconds"""

    def __init__(self, suggester: SuggestsRulings | None, *, turns: int, wait_s: float) -> None:
        self.suggester = suggester
        self.wait_s = wait_s
        self._turns = threading.BoundedSemaphore(turns)

    @property
    def model_version(self) -> str | None:
        return self.suggester.model_version if self.suggester is not None else None

    def suggest(self, file: CaseFile) -> Suggestion:
        """Raises ModelAbsentError, or ScoringBusyError when no turn becomes free in time."""
        if self.suggester is None:
            raise ModelAbsentError
        if not self._turns.acquire(timeout=self.wait_s):
            raise ScoringBusyError
        try:
            return self.suggester.suggest([file])[0]
        finally:
            self._turns.release()
