"""Photo scores drawn at the classifiers' measured error rates, where photo files are absent.

The rates are probabilities that the classifiers gave on products and families left out of their training. Knows nothing
of chats or rulings.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import WeightsError


@dataclass(frozen=True)
class PhotoErrors:
    """Probabilities given to photos of known truth, each in [0, 1].

    damaged, intact : damage probabilities of photos that show damage, or none
    mismatched, matched : mismatch probabilities of other goods, or the same
    """

    damaged: Sequence[float]
    intact: Sequence[float]
    mismatched: Sequence[float]
    matched: Sequence[float]

    def draw_damage(self, rng: np.random.Generator, *, damaged: bool) -> float:
        return _draw(rng, self.damaged if damaged else self.intact)

    def draw_mismatch(self, rng: np.random.Generator, *, matches: bool) -> float:
        return _draw(rng, self.matched if matches else self.mismatched)


def _draw(rng: np.random.Generator, values: Sequence[float]) -> float:
    return float(values[int(rng.integers(len(values)))])


def load_photo_errors(weights_dir: Path) -> PhotoErrors:
    """Read the error rates beside the classifiers' weights. Raises WeightsError when they are absent or empty."""
    try:
        damage = json.loads((weights_dir / "damage" / "error_rates.json").read_text(encoding="utf-8"))
        listing = json.loads((weights_dir / "listing" / "error_rates.json").read_text(encoding="utf-8"))
        errors = PhotoErrors(
            damaged=damage["damaged"],
            intact=damage["intact"],
            mismatched=[*listing["sibling"], *listing["random"]],
            matched=listing["match"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"the photo error rates can't be read: {error}") from error
    if not (errors.damaged and errors.intact and errors.mismatched and errors.matched):
        raise WeightsError("the photo error rates are empty")
    return errors
