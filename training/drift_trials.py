"""How often drift is alarmed where there is none, and found where it was planted: simulated windows of observations.

The features of a case hang together as on a desk; their sizes are assumed. Knows nothing of texts, photos or models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.drift import MAX_REFERENCE, MAX_WINDOW, MIN_REFERENCE, Observation, Reference, find_drift
from training.shares import Share

ALPHA = 0.1
REFERENCES = (MAX_REFERENCE, MIN_REFERENCE)
_CLAIMS = ("damaged", "not_as_described", "quality_defect", "missing_item", "counterfeit", "change_of_mind")
_RULINGS = ("refund", "return_and_refund", "partial_refund", "dismiss")
Rng = np.random.Generator
Planted = Callable[[Observation, Rng], Mapping[str, object]]


@dataclass(frozen=True)
class Plant:
    """A drift put into a window. feature : by which it is to be found; change : what becomes new in a case"""

    name: str
    feature: str
    change: Planted


def _often(share: float, **change: object) -> Planted:
    return lambda one, rng: change if rng.random() < share else {}


PLANTS = (
    Plant(
        "messages half as long again", "message_length", lambda one, rng: {"message_length": one.message_length * 1.5}
    ),
    Plant("15 % of cases in another language", "language", _often(0.15, language="en")),
    Plant("15 % from a new platform", "platform", _often(0.15, platform="pdd")),
    Plant("15 % of another claim", "claim", _often(0.15, claim="counterfeit")),
    Plant(
        "60 % of familiar photos now unfamiliar",
        "photos",
        lambda one, rng: _often(0.6, photos="unfamiliar")(one, rng) if one.photos == "familiar" else {},
    ),
    Plant("less confidence", "confidence", lambda one, rng: {"confidence": (one.confidence or 0.0) ** 1.8}),
    Plant(
        "30 % more of the suggestions overridden",
        "overridden",
        lambda one, rng: _often(0.3, overridden=True)(one, rng) if one.overridden is False else {},
    ),
    Plant(
        "a third of the sets missing",
        "covered",
        lambda one, rng: _often(0.35, covered=False)(one, rng) if one.covered else {},
    ),
)


@dataclass(frozen=True)
class Trials:
    """n_reference : cases of each reference; false_alarms : of windows without drift; found : by plant, of windows"""

    n_reference: int
    false_alarms: Share
    found: dict[str, Share]


def draw_observations(rng: Rng, n_cases: int) -> list[Observation]:
    """Draw cases whose features hang together: confident cases are overridden less, damage comes with photos."""
    claim = rng.choice(_CLAIMS, n_cases, p=(0.35, 0.25, 0.2, 0.12, 0.05, 0.03))
    confidence = rng.beta(5, 2, n_cases)
    photos = np.where(rng.random(n_cases) < 0.08, "unfamiliar", "familiar")
    overridden = rng.random(n_cases) < 0.3 * (1 - confidence) + 0.1
    columns: dict[str, NDArray[Any]] = {
        "message_length": rng.lognormal(2.6, 0.5, n_cases).round(1),
        "n_messages": rng.poisson(9, n_cases),
        "confidence": confidence,
        "language": np.where(rng.random(n_cases) < 0.9, "zh", "en"),
        "claim": claim,
        "platform": rng.choice(("taobao", "jd", "ebay"), n_cases, p=(0.7, 0.25, 0.05)),
        "photos": np.where(claim == "damaged", photos, "none"),
        "ruling": rng.choice(_RULINGS, n_cases, p=(0.3, 0.35, 0.1, 0.25)),
        "abstained": np.where(confidence < 0.45, "yes", "no"),
    }
    decided = {"overridden": (0.8, overridden), "covered": (0.2, rng.random(n_cases) < 1 - ALPHA)}
    for name, (share, values) in decided.items():
        columns[name] = np.where(rng.random(n_cases) < share, values.astype(object), np.array(None))
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return [Observation.model_construct(**dict(zip(columns, row, strict=True))) for row in rows]


def plant(drift: Plant, window: list[Observation], rng: Rng) -> list[Observation]:
    """Return the window with the drift in it."""
    return [one.model_copy(update=dict(drift.change(one, rng))) for one in window]


def try_drift(n_windows: int, *, n_planted: int, n_reference: int = MAX_REFERENCE, seed: int) -> Trials:
    """Return how windows of `MAX_WINDOW` cases fare, each against a reference of its own.

    n_windows : without drift; n_planted : for each planted drift
    """
    rng = np.random.default_rng([seed, n_reference])
    false_alarms = [bool(alarms) for alarms in _alarms(rng, n_windows, n_reference, None)]
    found = {one.name: [one.feature in hit for hit in _alarms(rng, n_planted, n_reference, one)] for one in PLANTS}
    return Trials(
        n_reference,
        Share(sum(false_alarms), n_windows),
        {name: Share(sum(hits), n_planted) for name, hits in found.items()},
    )


def _alarms(rng: Rng, n_windows: int, n_reference: int, drift: Plant | None) -> list[frozenset[str]]:
    """Return which features are alarmed in each window."""
    alarmed: list[frozenset[str]] = []
    for _ in range(n_windows):
        reference = Reference.of(draw_observations(rng, n_reference))
        window = draw_observations(rng, MAX_WINDOW)
        tested = find_drift(reference, plant(drift, window, rng) if drift else window, alpha=ALPHA)
        alarmed.append(frozenset(one.feature for one in tested if one.alarmed))
    return alarmed


def trials_table(trials: list[Trials]) -> str:
    """Return the figures as Markdown, a column for each size of reference."""

    def row(name: str, shares: list[Share]) -> str:
        return f"| {name} | " + " | ".join(f"{share.hits} of {share.n}, {_percent(share)}" for share in shares) + " |"

    head = "| windows with an alarm | " + " | ".join(f"reference of {one.n_reference}" for one in trials) + " |"
    rows = [row("no drift: any alarm", [one.false_alarms for one in trials])]
    rows += [row(one.name, [tried.found[one.name] for tried in trials]) for one in PLANTS]
    return "\n".join([head, "|---" * (len(trials) + 1) + "|", *rows])


def _percent(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.1%} [{100 * low:.1f}, {100 * high:.1f}]"
