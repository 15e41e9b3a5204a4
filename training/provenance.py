"""Where a label comes from, and what it may be used for.

A label given before any suggestion was shown, or on appeal, is gold: it says what people rule. One given with the
suggestion on screen may echo the machine: it teaches with a smaller weight and never decides a promotion. Knows nothing
of cases' contents or models.
"""

from enum import StrEnum

from models.domain import Outcome
from models.vocabulary import Ruling


class Provenance(StrEnum):
    """How a label came about, the most independent first."""

    APPEALED = "appealed"
    BLIND = "blind"
    DISAGREED = "disagreed"
    AGREED = "agreed"
    UNKNOWN = "unknown"


GOLD = frozenset({Provenance.APPEALED, Provenance.BLIND})
WEIGHTS: dict[Provenance, float] = {
    Provenance.APPEALED: 1.0,
    Provenance.BLIND: 1.0,
    Provenance.DISAGREED: 0.75,
    Provenance.AGREED: 0.25,
    Provenance.UNKNOWN: 0.5,
}


def provenance_of(outcome: Outcome) -> Provenance:
    """Return how the label of `label_of` came about; an outcome that says nothing of itself is of unknown origin."""
    if outcome.overturned_on_appeal is not None:
        return Provenance.APPEALED
    if outcome.blind_ruling is not None or outcome.suggestion_shown is False:
        return Provenance.BLIND
    if outcome.suggestion_shown is None or outcome.agreed is None:
        return Provenance.UNKNOWN
    return Provenance.AGREED if outcome.agreed else Provenance.DISAGREED


def label_of(outcome: Outcome) -> Ruling:
    """Return the ruling to learn: the blind first commit where there is one and no appeal, else the one that stands."""
    if provenance_of(outcome) == Provenance.BLIND and outcome.blind_ruling is not None:
        return outcome.blind_ruling
    return outcome.ruling
