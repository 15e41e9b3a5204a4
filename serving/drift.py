"""Whether the cases of now drift away from those the model at work was made for, and which cases show it.

A model made from outcomes brings a reference of its training cases. What it lacks, and everything where a model brings
none, is compared with the first cases that the model scored here. Knows nothing of HTTP.
"""

import threading
import time
from collections.abc import Callable

from models.drift import LEVEL, MAX_REFERENCE, MAX_WINDOW, MIN_REFERENCE, MIN_WINDOW, Against, Reference, find_drift
from serving.model_records import DriftedFeature, DriftReport, SeenAt
from serving.store.observations import Observations, SeenCase

_FRESH_S = 60.0


class DriftWatch:
    """reference_of : the reference that a model brings, by its version; fresh_s : how long a report is told again"""

    def __init__(
        self,
        observations: Observations,
        *,
        reference_of: Callable[[str], Reference | None],
        fresh_s: float = _FRESH_S,
    ) -> None:
        self.observations = observations
        self.reference_of = reference_of
        self.fresh_s = fresh_s
        self._lock = threading.Lock()
        self._told: tuple[float, DriftReport] | None = None

    def report(self) -> DriftReport:
        """Return the report on the newest cases that the model which scored last has scored."""
        with self._lock:
            if self._told is None or time.monotonic() - self._told[0] > self.fresh_s:
                self._told = time.monotonic(), self._report()
            return self._told[1]

    def _report(self) -> DriftReport:
        model = self.observations.newest_model()
        if model is None:
            return DriftReport(model_version=None, reference=None, n_missing=0, level=LEVEL)
        n_scored, training = self.observations.count(model), self.reference_of(model)
        n_first = min(MAX_REFERENCE, max(MIN_REFERENCE, n_scored - MAX_WINDOW))
        if n_scored < n_first + MIN_WINDOW:
            n_first = 0
        told = DriftReport(
            model_version=model,
            reference="training" if training else "first_live",
            n_first=n_first,
            n_window=min(MAX_WINDOW, n_scored - n_first),
            n_missing=max(0, (MIN_WINDOW if training else MIN_REFERENCE + MIN_WINDOW) - n_scored),
            level=LEVEL,
        )
        if told.n_missing:
            return told
        window = self.observations.newest(model, limit=told.n_window)
        first = Reference.of([seen.observation for seen in self.observations.oldest(model, limit=n_first)])
        brought = training or Reference()
        found = find_drift(brought.or_else(first), [seen.observation for seen in window], alpha=window[0].alpha)
        features = tuple(
            DriftedFeature(
                **one.model_dump(), against=_against(one.feature, brought), cases=_shown(window, one.shown_by)
            )
            for one in found
        )
        return told.model_copy(update={"features": features})


def _against(feature: str, brought: Reference) -> Against:
    if feature == "covered":
        return "promise"
    return "training" if feature in brought.features else "first_live"


def _shown(window: list[SeenCase], places: tuple[int, ...]) -> tuple[SeenAt, ...]:
    """A case that is decided blind first isn't named before somebody has ruled: it would tell what the machine says."""
    seen = [window[place] for place in places if not window[place].hidden]
    return tuple(SeenAt(platform=one.key.platform, case_id=one.key.case_id) for one in seen)
