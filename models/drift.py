"""Drift: do the cases of now still look like those that the model was made for, and does it still do as well on them?

Each feature of a window of cases is tested against a reference; Holm's step-down over all of them keeps the chance that
a window without any drift raises an alarm at `level` or below. Knows nothing of where cases are kept.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from models.domain import Case, Frozen, PhotoEvidence, Suggestion

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.05
MIN_REFERENCE = 200
MIN_WINDOW = 50
MIN_LABELS = 20
"""Decisions under which override rate and coverage aren't tested."""
MOST_SHOWN = 5
_MIN_EXPECTED = 5.0

NUMBERS = ("message_length", "n_messages", "confidence")
KINDS = ("language", "claim", "platform", "photos", "ruling", "abstained")
INPUTS = frozenset({"message_length", "n_messages", "language", "claim", "platform"})
"""Features that don't depend on the model."""
Feature = Literal[
    "message_length",
    "n_messages",
    "confidence",
    "language",
    "claim",
    "platform",
    "photos",
    "ruling",
    "abstained",
    "overridden",
    "covered",
]


class Observation(Frozen):
    """What drift looks at in one case that a model scored.

    message_length : mean characters of a chat message, 0 without any; n_messages : of the chat
    photos : none | familiar | unfamiliar, unfamiliar where the suggestion says so of a photo
    ruling : the likeliest; abstained : "yes" | "no"; confidence : in [0, 1]
    overridden : whether a person who saw the suggestion ruled otherwise; None where nobody did
    covered : whether the prediction set holds what a person ruled blind; None where nobody did
    """

    message_length: float
    n_messages: float
    confidence: float
    language: str
    claim: str
    platform: str
    photos: str
    ruling: str
    abstained: str
    overridden: bool | None = None
    covered: bool | None = None


class FeatureDrift(Frozen):
    """One feature, window against reference.

    p_value : of the test alone; alarmed : after Holm's correction for all features tested
    before, now : medians of a number; the share of the category that grew most; a rate
    category : the one that grew most
    shown_by : places in the window of cases that show it most
    """

    feature: Feature
    p_value: float
    alarmed: bool
    before: float
    now: float
    category: str | None = None
    shown_by: tuple[int, ...] = ()


def observe(
    case: Case,
    suggestion: Suggestion,
    *,
    language: str,
    overridden: bool | None = None,
    covered: bool | None = None,
) -> Observation:
    """Return what drift looks at. language : "zh" | "en"; the rest as on Observation"""
    photos = [piece for piece in suggestion.evidence if isinstance(piece, PhotoEvidence)]
    strange = any(photo.out_of_distribution for photo in photos)
    return Observation(
        message_length=sum(len(message.text) for message in case.chat) / max(1, len(case.chat)),
        n_messages=len(case.chat),
        confidence=suggestion.confidence,
        language=language,
        claim=case.claim,
        platform=case.platform,
        photos="unfamiliar" if strange else "familiar" if photos else "none",
        ruling=suggestion.likeliest,
        abstained="yes" if suggestion.abstained else "no",
        overridden=overridden,
        covered=covered,
    )


def find_drift(
    reference: Sequence[Observation],
    window: Sequence[Observation],
    *,
    alpha: float,
    inputs: Sequence[Observation] | None = None,
    level: float = LEVEL,
) -> tuple[FeatureDrift, ...]:
    """Return every feature that can be tested, the least likely without drift first.

    inputs : the reference of `INPUTS`, whatever model scored it; default: `reference`, which may be empty besides it
    alpha : share of prediction sets allowed to miss; level : chance of any alarm in a window without drift
    Tests: two-sample Kolmogorov-Smirnov for numbers, chi-square of homogeneity for categories (rare ones pooled),
    Fisher's exact test for overrides, a one-sided exact binomial test for coverage, all of scipy.stats.
    Source of the correction: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    of_inputs = reference if inputs is None else inputs
    references = {name: of_inputs if name in INPUTS else reference for name in (*NUMBERS, *KINDS)}
    tested: list[FeatureDrift | None] = [_number(name, references[name], window) for name in NUMBERS]
    tested += [_kind(name, references[name], window) for name in KINDS]
    tested += [_overridden(reference, window), _covered(window, alpha)]
    ordered = sorted((one for one in tested if one is not None), key=lambda one: one.p_value)
    found, holds = [], True
    for place, one in enumerate(ordered):
        holds = holds and one.p_value <= level / (len(ordered) - place)
        found.append(one.model_copy(update={"alarmed": holds}))
    return tuple(found)


def _number(name: str, reference: Sequence[Observation], window: Sequence[Observation]) -> FeatureDrift | None:
    if not reference:
        return None
    import numpy as np
    from scipy.stats import ks_2samp

    old: NDArray[np.float64] = np.array([getattr(one, name) for one in reference])
    new: NDArray[np.float64] = np.array([getattr(one, name) for one in window])
    before, now = float(np.median(old)), float(np.median(new))
    if before == now:
        before, now = float(old.mean()), float(new.mean())
    extreme = np.argsort(-new if now >= before else new, kind="stable")[:MOST_SHOWN]
    p_value = float(ks_2samp(old, new, method="asymp").pvalue)
    return _told(name, p_value, before, now, shown_by=tuple(int(place) for place in extreme))


def _kind(name: str, reference: Sequence[Observation], window: Sequence[Observation]) -> FeatureDrift | None:
    old = Counter(str(getattr(one, name)) for one in reference)
    new = Counter(str(getattr(one, name)) for one in window)
    table = _pooled(old, new)
    if not reference or len(table) < 2:
        return None
    from scipy.stats import chi2_contingency

    p_value = float(chi2_contingency([[row[0] for row in table], [row[1] for row in table]], correction=False).pvalue)
    growth = {kind: new[kind] / len(window) - old[kind] / len(reference) for kind in new}
    grown = max(sorted(growth), key=lambda kind: growth[kind])
    showing = [place for place, one in enumerate(window) if str(getattr(one, name)) == grown][:MOST_SHOWN]
    return _told(
        name,
        p_value,
        old[grown] / len(reference),
        new[grown] / len(window),
        category=grown,
        shown_by=tuple(showing),
    )


def _pooled(old: Counter[str], new: Counter[str]) -> list[tuple[int, int]]:
    """Return counts by kind, those pooled that are expected fewer than five times in the smaller sample."""
    n_old, n_new = sum(old.values()), sum(new.values())
    share = min(n_old, n_new) / max(1, n_old + n_new)
    kept, rest = [], [0, 0]
    for kind in sorted({*old, *new}):
        if (old[kind] + new[kind]) * share >= _MIN_EXPECTED:
            kept.append((old[kind], new[kind]))
        else:
            rest = [rest[0] + old[kind], rest[1] + new[kind]]
    n_rest = rest[0] + rest[1]
    if n_rest * share >= _MIN_EXPECTED or (n_rest and not kept):
        kept.append((rest[0], rest[1]))
    elif n_rest:
        kept.sort(key=lambda counts: counts[0] + counts[1])
        kept[0] = (kept[0][0] + rest[0], kept[0][1] + rest[1])
    return kept


def _overridden(reference: Sequence[Observation], window: Sequence[Observation]) -> FeatureDrift | None:
    old = [one.overridden for one in reference if one.overridden is not None]
    new = [place for place, one in enumerate(window) if one.overridden is not None]
    overridden = [place for place in new if window[place].overridden]
    if len(old) < MIN_LABELS or len(new) < MIN_LABELS:
        return None
    from scipy.stats import fisher_exact

    table = [[sum(old), len(old) - sum(old)], [len(overridden), len(new) - len(overridden)]]
    p_value = float(fisher_exact(table).pvalue)
    rates = sum(old) / len(old), len(overridden) / len(new)
    return _told("overridden", p_value, *rates, shown_by=tuple(overridden[:MOST_SHOWN]))


def _covered(window: Sequence[Observation], alpha: float) -> FeatureDrift | None:
    told = [place for place, one in enumerate(window) if one.covered is not None]
    missed = [place for place in told if not window[place].covered]
    if len(told) < MIN_LABELS:
        return None
    from scipy.stats import binomtest

    n_covered = len(told) - len(missed)
    p_value = float(binomtest(n_covered, len(told), 1 - alpha, alternative="less").pvalue)
    return _told("covered", p_value, 1 - alpha, n_covered / len(told), shown_by=tuple(missed[:MOST_SHOWN]))


def _told(
    feature: str,
    p_value: float,
    before: float,
    now: float,
    *,
    category: str | None = None,
    shown_by: tuple[int, ...] = (),
) -> FeatureDrift:
    return FeatureDrift.model_validate(
        {
            "feature": feature,
            "p_value": p_value,
            "alarmed": False,
            "before": before,
            "now": now,
            "category": category,
            "shown_by": shown_by,
        }
    )
