"""Experts on single product types, learned from a few labelled photos of each.

An expert adds to the logit that the classifier gave without it, on photos that look like those it was shown, and
nowhere else. Knows nothing of files, encoders or how it was learned (`training.damage_types`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.photo_cells import Array

N_NEIGHBOURS = 3


@dataclass(frozen=True)
class TypeExpert:
    """What a few labelled photos of one product type taught.

    product : the type's name
    codes : (n_photos, n_dims), unit codes of the labelled photos
    reach : cosine distance to its labelled photos up to which a photo counts as of the type, above 0
    direction : (n_inputs,), added to the logit for each unit of the photo's inputs
    trust : share of the logit without the expert that stays
    intercept : added to the logit
    """

    product: str
    codes: Array
    reach: float
    direction: Array
    trust: float
    intercept: float

    def logit(self, inputs: Array, base: float) -> float:
        """Return the logit of a photo of this type. base : the logit that the classifier gave without the expert"""
        return self.trust * base + float(self.direction @ inputs) + self.intercept

    def arrays(self) -> dict[str, Array]:
        """Return all but the name as arrays, for saving."""
        numbers = np.array([self.reach, self.trust, self.intercept], np.float32)
        return {"codes": self.codes, "direction": self.direction, "numbers": numbers}

    @classmethod
    def of_arrays(cls, product: str, arrays: Mapping[str, Array]) -> TypeExpert:
        """Return the expert whose arrays were saved. Raises KeyError and ValueError where they don't fit."""
        reach, trust, intercept = (float(number) for number in arrays["numbers"])
        return cls(product, arrays["codes"], reach, arrays["direction"], trust, intercept)


def nearest_distance(codes: Array, code: Array) -> float:
    """Return the mean cosine distance of a unit code to the nearest of `codes`, in [0, 2]."""
    return float(1 - np.sort(codes @ code)[-N_NEIGHBOURS:].mean())


def with_experts(experts: Sequence[TypeExpert], known: Array, code: Array, inputs: Array, base: float) -> float:
    """Return the logit that the experts on the photo's type give, or `base` where it is of none of their types.

    known : (n_photos, n_dims), codes of all other known photos; code : (n_dims,); inputs : (n_inputs,)
    An expert counts as far as the nearest known photos are its own and are within reach.
    """
    if not experts:
        return base
    owner = np.concatenate([np.full(len(known), -1), *(np.full(len(e.codes), i) for i, e in enumerate(experts))])
    likeness = np.concatenate([known @ code, *(expert.codes @ code for expert in experts)])
    nearest = owner[np.argsort(likeness)[-N_NEIGHBOURS:]]
    logit = base
    for place, expert in enumerate(experts):
        within = np.clip((2 * expert.reach - nearest_distance(expert.codes, code)) / expert.reach, 0, 1)
        share = float(np.mean(nearest == place)) * float(within)
        logit += share * (expert.logit(inputs, base) - base)
    return logit
