"""What people corrected in the machine's reading of decided cases, the last word of each piece; what they are worth.

Knows nothing of classifiers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.truth import EvidenceCorrection
from training.provenance import WEIGHTS, Provenance
from training.snapshot import DecidedCase

FEWEST_CORRECTED = 10
"""Corrections that the present reading still gets wrong, below which a reading is left as it is."""
HELD_WEIGHT = WEIGHTS[Provenance.AGREED]
"""Of what was shown and not corrected: it holds the reading where it is."""


@dataclass(frozen=True)
class Learned:
    """What a refitting came to. learned : labels behind each name that changed; left : why the others didn't"""

    learned: dict[str, int]
    left: dict[str, str]


def last_words(one: DecidedCase, kind: str) -> list[EvidenceCorrection]:
    """Return the corrections of one kind, of each (ref, label) the last."""
    said = [correction for correction in one.corrections if correction.kind == kind]
    said.sort(key=lambda correction: correction.corrected_at.timestamp() if correction.corrected_at else 0.0)
    return list({(correction.ref, correction.label): correction for correction in said}.values())


def weight_of(*, read: bool, right: bool) -> float:
    """Return what a label on a piece of evidence is worth: more where it speaks against the reading on screen."""
    return WEIGHTS[Provenance.AGREED if read == right else Provenance.DISAGREED]


def seen_with_reading(decided: Sequence[DecidedCase], *, kind: str, at_most: int) -> list[DecidedCase]:
    """Return the cases with corrections of `kind`, and the newest others whose reading was on screen."""
    corrected = [one for one in decided if any(correction.kind == kind for correction in one.corrections)]
    known = {one.key for one in corrected}
    others = [one for one in decided if one.outcome.suggestion_shown and one.key not in known]
    return corrected + sorted(others, key=lambda one: (one.moment, one.key))[-at_most:]


def seller_of(one: DecidedCase) -> str:
    """Return whose cases stay together when a reading is judged."""
    return f"{one.file.case.platform}/{one.file.case.order.seller_id}"
