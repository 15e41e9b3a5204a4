"""Drift: do the cases of now still look like those that the model was made for, and does it still do as well on them?

Each feature of a window of cases is tested against a reference; Holm's step-down over all of them keeps the chance that
a window without any drift raises an alarm at `level` or below. A reference holds every feature by itself, so that no
case can be put together from it. Knows nothing of where cases or references are kept.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from models.case_language import language_of
from models.domain import Case, Frozen, PhotoEvidence, Suggestion
from models.privacy import mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.04
"""Under 1 in 20 with room for the tests that hold in large samples only."""
MAX_REFERENCE = 500
MIN_REFERENCE = 100
MIN_WINDOW = 50
MAX_WINDOW = 200
MIN_LABELS = 20
"""Decisions under which override rate and coverage aren't tested."""
MOST_SHOWN = 5
ALARMED = 3
"""Exit status of the commands that tell drift, where there is an alarm."""
_MIN_EXPECTED = 5.0

NUMBERS = ("message_length", "n_messages", "confidence")
KINDS = ("language", "claim", "platform", "photos", "ruling", "abstained")
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
Against = Literal["training", "first_live", "promise"]


class Observation(Frozen):
    """What drift looks at in one case; what a model made of it is None where none was asked.

    message_length : mean characters of a masked chat message, 0 without any; n_messages : of the chat
    photos : none | familiar | unfamiliar, unfamiliar where the suggestion says so of a photo
    ruling : the likeliest; abstained : "yes" | "no"; confidence : in [0, 1]
    overridden : whether a person who saw the suggestion ruled otherwise; None where nobody did
    covered : whether the prediction set holds what a person ruled blind; None where nobody did
    """

    message_length: float
    n_messages: float
    language: str
    claim: str
    platform: str
    confidence: float | None = None
    photos: str | None = None
    ruling: str | None = None
    abstained: str | None = None
    overridden: bool | None = None
    covered: bool | None = None


class Reference(Frozen):
    """What each feature looked like among the cases that later ones are compared with.

    numbers : sorted values by feature; kinds : how many cases by category, by feature
    overridden : suggestions that people saw and ruled otherwise, and all that they saw; None where too few
    """

    numbers: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    kinds: dict[str, dict[str, int]] = Field(default_factory=dict)
    overridden: tuple[int, int] | None = None

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> Self:
        """Return the features that can be had of at least `MIN_REFERENCE` cases, overrides of `MIN_LABELS`."""
        numbers = {name: tuple(sorted(_told_of(name, observations))) for name in NUMBERS}
        kinds = {name: dict(sorted(Counter(_told_of(name, observations)).items())) for name in KINDS}
        seen = _told_of("overridden", observations)
        return cls(
            numbers={name: values for name, values in numbers.items() if len(values) >= MIN_REFERENCE},
            kinds={name: counts for name, counts in kinds.items() if sum(counts.values()) >= MIN_REFERENCE},
            overridden=(sum(seen), len(seen)) if len(seen) >= MIN_LABELS else None,
        )

    @property
    def features(self) -> frozenset[str]:
        told = {*self.numbers, *self.kinds}
        return frozenset(told | {"overridden"} if self.overridden else told)

    def or_else(self, other: Self) -> Self:
        """Return this reference, with the features that it lacks taken from another."""
        return type(self)(
            numbers={**other.numbers, **self.numbers},
            kinds={**other.kinds, **self.kinds},
            overridden=self.overridden or other.overridden,
        )


def _told_of(name: str, observations: Sequence[Observation]) -> list[Any]:
    return [value for one in observations if (value := getattr(one, name)) is not None]


class FeatureDrift(Frozen):
    """One feature, window against reference.

    p_value : of the test alone; alarmed : after Holm's correction for all features tested
    before, now : medians of a number; the share of the category that grew most; a rate
    n_before, n_now : cases of each that tell of it; a promise is kept by none before
    category : the one that grew most
    shown_by : places in the window of cases that show it most
    """

    feature: Feature
    p_value: float
    alarmed: bool = False
    before: float
    now: float
    n_before: int
    n_now: int
    category: str | None = None
    shown_by: tuple[int, ...] = Field(default=(), exclude=True)

    def __str__(self) -> str:
        name = f"{self.feature} {self.category}" if self.category else self.feature
        before = f"{self.before:.3g} of {self.n_before} before" if self.n_before else f"{self.before:.3g} promised"
        verdict = "DRIFT" if self.alarmed else "no drift"
        return f"{name}: {verdict}, {self.now:.3g} of {self.n_now} now, {before} (p {self.p_value:.2g})"


def observe(
    case: Case, suggestion: Suggestion | None = None, *, overridden: bool | None = None, covered: bool | None = None
) -> Observation:
    """Return what drift looks at. The arguments are as on Observation."""
    seen = Observation(
        message_length=sum(len(mask(message.text)) for message in case.chat) / max(1, len(case.chat)),
        n_messages=len(case.chat),
        language=language_of(case),
        claim=case.claim,
        platform=case.platform,
        overridden=overridden,
        covered=covered,
    )
    if suggestion is None:
        return seen
    photos = [piece for piece in suggestion.evidence if isinstance(piece, PhotoEvidence)]
    strange = any(photo.out_of_distribution for photo in photos)
    said = {
        "confidence": suggestion.confidence,
        "photos": "unfamiliar" if strange else "familiar" if photos else "none",
        "ruling": str(suggestion.likeliest),
        "abstained": "yes" if suggestion.abstained else "no",
    }
    return seen.model_copy(update=said)


def find_drift(
    reference: Reference, window: Sequence[Observation], *, alpha: float, level: float = LEVEL
) -> tuple[FeatureDrift, ...]:
    """Return every feature that can be tested, the least likely without drift first.

    alpha : share of prediction sets allowed to miss; level : chance of any alarm in a window without drift
    Tests: two-sample Kolmogorov-Smirnov for numbers, chi-square of homogeneity for categories (rare ones pooled),
    Fisher's exact test for overrides, a one-sided exact binomial test for coverage, all of scipy.stats.
    Source of the correction: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    tested: list[FeatureDrift | None] = [
        _number(name, reference, window) for name in NUMBERS if name in reference.numbers
    ]
    tested += [_kind(name, reference, window) for name in KINDS if name in reference.kinds]
    tested += [_overridden(reference, window), _covered(window, alpha)]
    ordered = sorted((one for one in tested if one is not None), key=lambda one: one.p_value)
    found, holds = [], True
    for place, one in enumerate(ordered):
        holds = holds and one.p_value <= level / (len(ordered) - place)
        found.append(one.model_copy(update={"alarmed": holds}))
    return tuple(found)


def _number(name: Any, reference: Reference, window: Sequence[Observation]) -> FeatureDrift:
    import numpy as np
    from scipy.stats import ks_2samp

    old: NDArray[np.float64] = np.array(reference.numbers[name])
    new: NDArray[np.float64] = np.array(_told_of(name, window))
    before, now = float(np.median(old)), float(np.median(new))
    if before == now:
        before, now = float(old.mean()), float(new.mean())
    extreme = np.argsort(-new if now >= before else new, kind="stable")[:MOST_SHOWN]
    return FeatureDrift(
        feature=name,
        p_value=float(ks_2samp(old, new, method="asymp").pvalue),
        before=before,
        now=now,
        n_before=len(old),
        n_now=len(new),
        shown_by=tuple(int(place) for place in extreme),
    )


def _kind(name: Any, reference: Reference, window: Sequence[Observation]) -> FeatureDrift | None:
    old, values = Counter(reference.kinds[name]), _told_of(name, window)
    new = Counter(values)
    table = _pooled(old, new)
    if len(table) < 2:
        return None
    from scipy.stats import chi2_contingency

    n_before, n_now = sum(old.values()), len(values)
    growth = {kind: new[kind] / n_now - old[kind] / n_before for kind in new}
    grown = max(sorted(growth), key=lambda kind: growth[kind])
    return FeatureDrift(
        feature=name,
        p_value=float(chi2_contingency(list(zip(*table, strict=True)), correction=False).pvalue),
        before=old[grown] / n_before,
        now=new[grown] / n_now,
        n_before=n_before,
        n_now=n_now,
        category=grown,
        shown_by=tuple(place for place, value in enumerate(values) if value == grown)[:MOST_SHOWN],
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


def _overridden(reference: Reference, window: Sequence[Observation]) -> FeatureDrift | None:
    told = [place for place, one in enumerate(window) if one.overridden is not None]
    overridden = [place for place in told if window[place].overridden]
    if reference.overridden is None or len(told) < MIN_LABELS:
        return None
    from scipy.stats import fisher_exact

    n_overridden, n_before = reference.overridden
    table = [[n_overridden, n_before - n_overridden], [len(overridden), len(told) - len(overridden)]]
    return FeatureDrift(
        feature="overridden",
        p_value=float(fisher_exact(table).pvalue),
        before=n_overridden / n_before,
        now=len(overridden) / len(told),
        n_before=n_before,
        n_now=len(told),
        shown_by=tuple(overridden[:MOST_SHOWN]),
    )


def _covered(window: Sequence[Observation], alpha: float) -> FeatureDrift | None:
    told = [place for place, one in enumerate(window) if one.covered is not None]
    missed = [place for place in told if not window[place].covered]
    if len(told) < MIN_LABELS:
        return None
    from scipy.stats import binomtest

    n_covered = len(told) - len(missed)
    return FeatureDrift(
        feature="covered",
        p_value=float(binomtest(n_covered, len(told), 1 - alpha, alternative="less").pvalue),
        before=1 - alpha,
        now=n_covered / len(told),
        n_before=0,
        n_now=len(told),
        shown_by=tuple(missed[:MOST_SHOWN]),
    )
