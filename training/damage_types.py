"""Few labelled photos of one product type → an expert on it: `learn_type` and, from files, `adapt_to_photos`.

What retraining does with 10 to 100 labelled photos of a new category. The expert starts from what the classifier says
of the type already and moves away from it only as far as the photos' number warrants.
Knows nothing of how the classifier itself was fitted.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from models.encoders import PHOTO_SIDE
from models.errors import CalibrationError
from models.images import open_photo
from models.photo import DamageClassifier
from models.photo_cells import read_cells
from models.photo_types import TypeExpert, nearest_distance, standardise, with_experts
from training.damage_data import DamagePhoto
from training.damage_examples import Encoder
from training.metrics import auroc

Floats = NDArray[np.float32]

CURVE_SIZES = (10, 20, 40, 50, 100)
FEWEST_PHOTOS = 10
FEWEST_OF_A_KIND = 3
_REACH_QUANTILE = 0.95
_C_PER_PHOTO = 6e-5
_BASE_UNITS = 3.0
_DEVIATION_UNITS = 2.0
_FOLDS = 5
_LEAST_SLOPE = 0.01


def adapt_to_photos(classifier: DamageClassifier, photos: Sequence[DamagePhoto], encoder: Encoder) -> DamageClassifier:
    """Return the classifier with an expert on each product type among the labelled photos.

    An expert of that name that was there before is replaced. The classifier given is left as it is.
    Raises CalibrationError as `learn_type` does, and ImageError for a file that is no photo.
    """
    adapted = classifier
    for product in sorted({photo.product for photo in photos}):
        of_type = [photo for photo in photos if photo.product == product]
        opened = (open_photo(photo.path.read_bytes(), needed_side=PHOTO_SIDE) for photo in of_type)
        readings = [classifier.read(read_cells(encoder.encode(photo.image))) for photo in opened]
        read = TypePhotos(
            inputs=np.stack([reading.inputs for reading in readings]),
            base=np.array([reading.base for reading in readings]),
            codes=np.stack([reading.code for reading in readings]),
            damaged=np.array([photo.damaged for photo in of_type]),
        )
        adapted = with_type(adapted, learn_type(read, product=product))
    return adapted


@dataclass(frozen=True)
class TypePhotos:
    """Labelled photos of one product type as the classifier reads them.

    inputs : (n_photos, n_inputs); base : (n_photos,), scores without an expert on the type; codes : (n_photos, n_dims)
    damaged : bool (n_photos,)
    """

    inputs: Floats
    base: NDArray[np.float64]
    codes: Floats
    damaged: NDArray[np.bool_]

    def only(self, places: NDArray[np.intp]) -> TypePhotos:
        return TypePhotos(self.inputs[places], self.base[places], self.codes[places], self.damaged[places])


def learn_type(photos: TypePhotos, *, product: str) -> TypeExpert:
    """Return an expert on one product type.

    Raises CalibrationError below 10 photos or below 3 of either kind.
    """
    _, slope, intercept = _cross_validate(photos)
    model = _TypeModel().fit(photos.inputs, photos.base, photos.damaged)
    return model.expert(product, photos.codes, slope=slope, intercept=intercept)


def held_out_logits(photos: TypePhotos) -> NDArray[np.float64]:
    """Return what experts on the type that never saw the photo say of it, logits of shape (n_photos,).

    Their slope and intercept come from all photos. Raises CalibrationError as `learn_type` does.
    """
    scores, slope, intercept = _cross_validate(photos)
    return slope * scores + intercept


def _cross_validate(photos: TypePhotos) -> tuple[NDArray[np.float64], float, float]:
    """Return held-out raw scores, (n_photos,), and the slope and intercept that make logits of them."""
    inputs, base, damaged = photos.inputs, photos.base, photos.damaged
    fewest = min(int(damaged.sum()), int((~damaged).sum()))
    if len(damaged) < FEWEST_PHOTOS or fewest < FEWEST_OF_A_KIND:
        raise CalibrationError(n_cases=min(len(damaged), fewest), n_needed=FEWEST_OF_A_KIND)
    held_out = np.zeros(len(damaged))
    for learned, kept in StratifiedKFold(min(_FOLDS, fewest), shuffle=True, random_state=0).split(inputs, damaged):
        model = _TypeModel().fit(inputs[learned], base[learned], damaged[learned])
        held_out[kept] = model.decision(inputs[kept], base[kept])
    platt = LogisticRegression(C=1.0, class_weight="balanced").fit(held_out[:, None], damaged)
    return held_out, max(float(platt.coef_[0, 0]), _LEAST_SLOPE), float(platt.intercept_[0])


def learning_curve(
    photos: TypePhotos,
    known: Floats,
    *,
    sizes: Sequence[int] = CURVE_SIZES,
    n_draws: int = 5,
    fewest_left: int = 3,
    seed: int = 0,
) -> dict[int, list[float]]:
    """Return AUROC on a type's other photos after some were labelled, by their number, one a draw.

    photos : of a type that the classifier never saw; known : (n_known, n_dims), codes of the photos it knows
    Half of each draw is damaged. Sizes that leave fewer than `fewest_left` photos of either kind are left out.
    """
    curve: dict[int, list[float]] = {}
    damaged, intact = np.flatnonzero(photos.damaged), np.flatnonzero(~photos.damaged)
    for size in sizes:
        half = size // 2
        if min(len(damaged), len(intact)) - half < fewest_left:
            continue
        for draw in range(n_draws):
            rng = np.random.default_rng((seed, size, draw))
            labelled = np.concatenate([rng.permutation(damaged)[:half], rng.permutation(intact)[:half]])
            expert = learn_type(photos.only(labelled), product="left out")
            others = photos.only(np.setdiff1d(np.arange(len(photos.damaged)), labelled))
            scores = [
                with_experts([expert], known, code, inputs, base)
                for code, inputs, base in zip(others.codes, others.inputs, others.base.tolist(), strict=True)
            ]
            curve.setdefault(size, []).append(auroc(others.damaged, np.array(scores)))
    return curve


class _TypeModel:
    """Ridge logistic regression on the inputs as placed among the type, away from its intact photos, and the base.

    Learned: `centres_` (mean, spread, intact mean, intact spread), `base_spread_`, `model_`.
    """

    centres_: tuple[Floats, Floats, Floats, Floats]
    base_spread_: float
    model_: LogisticRegression

    def fit(self, inputs: Floats, base: NDArray[np.float64], damaged: NDArray[np.bool_]) -> Self:
        """Learn from labelled photos. inputs : (n, n_inputs); base, damaged : (n,)"""
        spread, intact = inputs.std(0), inputs[~damaged]
        self.centres_ = (
            inputs.mean(0),
            spread + 1e-3 * float(inputs.std()) + 1e-6,
            intact.mean(0),
            intact.std(0) + 0.3 * spread + 1e-3,
        )
        self.base_spread_ = float(base.std()) + 1e-6
        self.model_ = LogisticRegression(C=_C_PER_PHOTO * len(damaged), class_weight="balanced", max_iter=300)
        self.model_.fit(self._matrix(inputs, base), damaged)
        return self

    def decision(self, inputs: Floats, base: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return raw scores, (n,)."""
        return np.asarray(self.model_.decision_function(self._matrix(inputs, base)), np.float64)

    def expert(self, product: str, codes: Floats, *, slope: float, intercept: float) -> TypeExpert:
        """Return what was learned, its raw score turned into a logit by slope and intercept."""
        mean, spread, intact_mean, intact_spread = self.centres_
        weights, n_inputs = slope * self.model_.coef_[0], len(mean)
        return TypeExpert(
            product=product,
            codes=codes,
            mean=mean,
            spread=spread,
            intact_mean=intact_mean,
            intact_spread=intact_spread,
            direction=weights[:n_inputs].astype(np.float32),
            deviation=(_DEVIATION_UNITS * weights[n_inputs : 2 * n_inputs]).astype(np.float32),
            reach=_reach(codes),
            trust=float(weights[-1]) * _BASE_UNITS / self.base_spread_,
            intercept=slope * float(self.model_.intercept_[0]) + intercept,
        )

    def _matrix(self, inputs: Floats, base: NDArray[np.float64]) -> Floats:
        mean, spread, intact_mean, intact_spread = self.centres_
        strange = _DEVIATION_UNITS * np.abs(standardise(inputs, intact_mean, intact_spread))
        placed = standardise(inputs, mean, spread)
        return np.column_stack([placed, strange, _BASE_UNITS * base / self.base_spread_]).astype(np.float32)


def with_type(classifier: DamageClassifier, expert: TypeExpert) -> DamageClassifier:
    """Return a classifier that hears this expert too, in place of one on the same product."""
    adapted = copy.copy(classifier)
    adapted.types_ = (*(other for other in classifier.types_ if other.product != expert.product), expert)
    return adapted


def _reach(codes: Floats) -> float:
    """Return the distance of labelled photos to the others that all but 1 in 20 keep."""
    others = [nearest_distance(np.delete(codes, place, axis=0), code) for place, code in enumerate(codes)]
    return max(float(np.quantile(others, _REACH_QUANTILE)), 1e-3)
