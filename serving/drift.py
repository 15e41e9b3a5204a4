"""Whether the cases of now drift away from those the model at work was made for, and which cases show it.

What comes in is compared with the cases just before the model went to work, those of its training's time; a model that
was at work from the start has none before it. What it makes of them is compared with the first cases that it scored
here, and so is what comes in where there are none before. Knows nothing of HTTP.
"""

import threading
import time

from models.drift import LEVEL, MIN_REFERENCE, MIN_WINDOW, find_drift
from serving.model_records import DriftedFeature, DriftReport, SeenAt
from serving.store.observations import Observations, SeenCase

N_REFERENCE = 500
N_WINDOW = 200
_FRESH_S = 60.0


class DriftWatch:
    """fresh_s : how long a report is told again"""

    def __init__(self, observations: Observations, *, fresh_s: float = _FRESH_S) -> None:
        self.observations = observations
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
        n_scored, before = self.observations.count(model), self.observations.before(model, limit=N_REFERENCE)
        n_first = min(N_REFERENCE, max(MIN_REFERENCE, n_scored - N_WINDOW))
        if n_scored < n_first + MIN_WINDOW:
            n_first = 0
        has_before = len(before) >= MIN_REFERENCE
        n_needed = MIN_WINDOW if has_before else MIN_REFERENCE + MIN_WINDOW
        told = DriftReport(
            model_version=model,
            reference="before" if has_before else "first_live",
            n_reference=len(before) if has_before else n_first,
            n_first=n_first,
            n_window=min(N_WINDOW, n_scored - n_first),
            n_missing=max(0, n_needed - n_scored),
            level=LEVEL,
        )
        if told.n_missing:
            return told
        window = self.observations.newest(model, limit=told.n_window)
        first = [seen.observation for seen in self.observations.oldest(model, limit=n_first)]
        found = find_drift(
            first,
            [seen.observation for seen in window],
            inputs=[seen.observation for seen in before] if has_before else first,
            alpha=window[0].alpha,
        )
        features = tuple(
            DriftedFeature(**one.model_dump(exclude={"shown_by"}), cases=_shown(window, one.shown_by)) for one in found
        )
        return told.model_copy(update={"features": features})


def _shown(window: list[SeenCase], places: tuple[int, ...]) -> tuple[SeenAt, ...]:
    """A case that is decided blind first isn't named before somebody has ruled: it would tell what the machine says."""
    seen = [window[place] for place in places if not window[place].hidden]
    return tuple(SeenAt(platform=one.key.platform, case_id=one.key.case_id) for one in seen)
