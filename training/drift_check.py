"""Drift of decided cases from those that a model learned from, told by the tests that the service runs on live ones.

Knows nothing of how outcomes came here or of the registry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.drift import MAX_WINDOW, MIN_WINDOW, FeatureDrift, Observation, Reference, find_drift, observe
from models.errors import InputError
from models.suggester import Suggester
from training.provenance import Provenance
from training.snapshot import DecidedCase

_TOLD_EVERY = 50


@dataclass(frozen=True)
class Found:
    """A feature against the reference, and the keys of cases that show it."""

    drift: FeatureDrift
    keys: tuple[str, ...]


def check_drift(
    suggester: Suggester,
    reference: Reference,
    decided: Sequence[DecidedCase],
    *,
    progress: Callable[[str], None] = print,
) -> list[Found]:
    """Return what is found of each feature in the newest cases, the least likely without drift first.

    decided : in order of decision, none that the model learned from
    Overrides aren't looked at: people saw what another model said, or none.
    Raises InputError on fewer than `MIN_WINDOW` cases.
    """
    if len(decided) < MIN_WINDOW:
        raise InputError(f"hold {len(decided)} cases decided since then, {MIN_WINDOW} needed", field="outcomes")
    window, seen = decided[-MAX_WINDOW:], list[Observation]()
    for one in window:
        seen.append(_observed(suggester, one))
        if len(seen) % _TOLD_EVERY == 0:
            progress(f"scored {len(seen)} of {len(window)} cases")
    found = find_drift(reference, seen, alpha=suggester.ruling.alpha)
    return [Found(one, tuple(window[place].key for place in one.shown_by)) for one in found]


def _observed(suggester: Suggester, one: DecidedCase) -> Observation:
    said = suggester.suggest([one.file], now=one.moment)[0]
    covered = one.label in said.prediction_set if one.provenance == Provenance.BLIND else None
    return observe(one.file.case, said, covered=covered)
