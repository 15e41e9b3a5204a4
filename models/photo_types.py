"""Experts on single product types, learned from a few labelled photos of each.

An expert reads how a photo lies among the labelled photos of its type and how far it lies from the intact ones, and
moves the logit that the classifier gave without it: on photos that look like those it was shown, and nowhere else.
Knows nothing of files, encoders or how it was learned (`training.damage_types`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.photo_cells import Array

N_NEIGHBOURS = 3
_CLIP = 5.0
_TIE = 0.002
_ARRAYS = ("codes", "mean", "spread", "intact_mean", "intact_spread", "direction", "deviation")


@dataclass(frozen=True)
class TypeExpert:
    """What a few labelled photos of one product type taught.

    product : the type's name
    codes : (n_photos, n_dims), unit codes of the labelled photos
    mean, spread : (n_inputs,), of the type's photos; intact_mean, intact_spread : of the intact ones
    direction : (n_inputs,), added to the logit for each spread that an input lies above the mean
    deviation : (n_inputs,), added for each intact spread that it lies away from the intact mean, on either side
    reach : cosine distance to its labelled photos up to which a photo counts as of the type, above 0
    trust : share of the logit without the expert that stays
    intercept : added to the logit
    """

    product: str
    codes: Array
    mean: Array
    spread: Array
    intact_mean: Array
    intact_spread: Array
    direction: Array
    deviation: Array
    reach: float
    trust: float
    intercept: float

    def logit(self, inputs: Array, base: float) -> float:
        """Return the logit of a photo of this type. base : the logit that the classifier gave without the expert"""
        placed = standardise(inputs, self.mean, self.spread)
        strange = np.abs(standardise(inputs, self.intact_mean, self.intact_spread))
        return float(placed @ self.direction + strange @ self.deviation) + self.trust * base + self.intercept

    def arrays(self) -> dict[str, Array]:
        """Return all but the name as arrays, for saving."""
        numbers = np.array([self.reach, self.trust, self.intercept], np.float32)
        return {name: getattr(self, name) for name in _ARRAYS} | {"numbers": numbers}

    @classmethod
    def of_arrays(cls, product: str, arrays: Mapping[str, Array]) -> TypeExpert:
        """Return the expert whose arrays were saved. Raises KeyError and ValueError where they don't fit."""
        reach, trust, intercept = (float(number) for number in arrays["numbers"])
        named = {name: arrays[name] for name in _ARRAYS}
        return cls(product=product, reach=reach, trust=trust, intercept=intercept, **named)


def standardise(inputs: Array, mean: Array, spread: Array) -> Array:
    """Return inputs, (n_inputs,) or (n_photos, n_inputs), in spreads from the mean, clipped to ±5."""
    return np.asarray(np.clip((inputs - mean) / spread, -_CLIP, _CLIP), np.float32)


def nearest_distance(codes: Array, code: Array) -> float:
    """Return the mean cosine distance of a unit code to the nearest of `codes`, in [0, 2]."""
    return float(1 - np.sort(codes @ code)[-N_NEIGHBOURS:].mean())


def with_experts(experts: Sequence[TypeExpert], known: Array, code: Array, inputs: Array, base: float) -> float:
    """Return the logit that the experts on the photo's type give, or `base` where it is of none of their types.

    known : (n_photos, n_dims), codes of all other known photos; code : (n_dims,); inputs : (n_inputs,)
    An expert counts as far as the nearest known photos are its own and are within reach; photos as near as its own
    (by 0.002, for codes are kept in half precision) give way to them.
    """
    if not experts:
        return base
    owner = np.concatenate([np.full(len(known), -1), *(np.full(len(e.codes), i) for i, e in enumerate(experts))])
    likeness = np.concatenate([known @ code - _TIE, *(expert.codes @ code for expert in experts)])
    nearest = owner[np.argsort(likeness)[-N_NEIGHBOURS:]]
    logit = base
    for place, expert in enumerate(experts):
        within = np.clip((2 * expert.reach - nearest_distance(expert.codes, code)) / expert.reach, 0, 1)
        share = float(np.mean(nearest == place)) * float(within)
        if share > 0:
            logit += share * (expert.logit(inputs, base) - base)
    return logit
