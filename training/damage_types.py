"""Few labelled photos of one product type → an expert on it: `learn_type` and, from files, `adapt_to_photos`.

What retraining does with 10 to 100 labelled photos of a new category. The expert starts from what the classifier says
of the type already and moves away from it only as far as the photos' number warrants.
Knows nothing of how the classifier itself was fitted.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from models.encoders import PHOTO_SIDE
from models.errors import CalibrationError
from models.images import open_photo
from models.photo import DamageClassifier, PhotoReading
from models.photo_cells import read_cells
from models.photo_types import TypeExpert, nearest_distance
from training.damage_data import DamagePhoto
from training.damage_examples import Encoder

FEWEST_PHOTOS = 10
FEWEST_OF_A_KIND = 3
_REACH_QUANTILE = 0.95
_C = 0.001
_BASE_UNITS = 10.0
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
        damaged = np.array([photo.damaged for photo in of_type])
        adapted = with_type(adapted, learn_type(readings, damaged, product=product))
    return adapted


def learn_type(readings: Sequence[PhotoReading], damaged: NDArray[np.bool_], *, product: str) -> TypeExpert:
    """Return an expert on one product type.

    readings : what the classifier read of its labelled photos; damaged : bool (n_photos,)
    Raises CalibrationError below 10 photos or below 3 of either kind.
    """
    fewest = min(int(damaged.sum()), int((~damaged).sum()))
    if len(damaged) < FEWEST_PHOTOS or fewest < FEWEST_OF_A_KIND:
        raise CalibrationError(n_cases=min(len(damaged), fewest), n_needed=FEWEST_OF_A_KIND)
    base = np.array([reading.base for reading in readings])
    spread = float(base.std()) + 1e-6
    X = np.column_stack([np.stack([reading.inputs for reading in readings]), _BASE_UNITS * base / spread])
    model = LogisticRegression(C=_C, class_weight="balanced", max_iter=300)
    folds = StratifiedKFold(min(5, fewest), shuffle=True, random_state=0)
    held_out = cross_val_predict(model, X, damaged, cv=folds, method="decision_function")
    platt = LogisticRegression(C=1.0, class_weight="balanced").fit(held_out[:, None], damaged)
    slope, intercept = max(float(platt.coef_[0, 0]), _LEAST_SLOPE), float(platt.intercept_[0])
    model.fit(X, damaged)
    codes = np.stack([reading.code for reading in readings]).astype(np.float32)
    return TypeExpert(
        product=product,
        codes=codes,
        reach=_reach(codes),
        direction=np.asarray(slope * model.coef_[0, :-1], np.float32),
        trust=slope * float(model.coef_[0, -1]) * _BASE_UNITS / spread,
        intercept=slope * float(model.intercept_[0]) + intercept,
    )


def with_type(classifier: DamageClassifier, expert: TypeExpert) -> DamageClassifier:
    """Return a classifier that hears this expert too, in place of one on the same product."""
    adapted = copy.copy(classifier)
    adapted.types_ = (*(other for other in classifier.types_ if other.product != expert.product), expert)
    return adapted


def _reach(codes: NDArray[np.float32]) -> float:
    """Return the distance of labelled photos to the others that all but 1 in 20 keep."""
    others = [nearest_distance(np.delete(codes, place, axis=0), code) for place, code in enumerate(codes)]
    return max(float(np.quantile(others, _REACH_QUANTILE)), 1e-3)
