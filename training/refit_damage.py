"""Damage experts on product categories, from photos that people labelled in the course of deciding.

A category with too few labelled photos is named and left to the classifier as it is. Knows nothing of splits or
rulings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.encoders import PHOTO_SIDE, ImageEncoder
from models.errors import CalibrationError, ImageError
from models.images import open_photo
from models.photo import DamageClassifier
from models.photo_cells import read_cells
from training.damage_types import TypePhotos, learn_type, with_type
from training.snapshot import DecidedCase


@dataclass(frozen=True)
class DamageRefit:
    """learned : number of labelled photos by category that now has an expert; left : why the others have none"""

    classifier: DamageClassifier
    learned: dict[str, int]
    left: dict[str, str]


def refit_damage(classifier: DamageClassifier, decided: Sequence[DecidedCase], *, encoder: ImageEncoder) -> DamageRefit:
    """Return the classifier with an expert on each category with enough labelled photos among these cases.

    A photo that several cases hold, or that was labelled again, counts once, by its last label.
    """
    labelled: dict[str, dict[bytes, bool]] = {}
    for one in decided:
        for correction in one.corrections:
            data = one.file.photos.get(correction.ref)
            if correction.kind == "photo" and correction.damaged is not None and data is not None:
                labelled.setdefault(one.file.case.listing.category or "none", {})[data] = correction.damaged
    learned, left = {}, {}
    adapted = classifier
    for category, photos in sorted(labelled.items()):
        readings, damaged = [], []
        for data, is_damaged in photos.items():
            try:
                photo = open_photo(data, needed_side=PHOTO_SIDE)
            except ImageError:
                continue
            readings.append(classifier.read(read_cells(encoder.encode(photo.image, scale=photo.scale))))
            damaged.append(is_damaged)
        if not readings:
            continue
        read = TypePhotos(
            inputs=np.stack([reading.inputs for reading in readings]),
            base=np.array([reading.base for reading in readings]),
            codes=np.stack([reading.code for reading in readings]),
            damaged=np.array(damaged, bool),
        )
        try:
            adapted = with_type(adapted, learn_type(read, product=category))
        except CalibrationError as error:
            left[category] = f"{len(damaged)} labelled photos, {sum(damaged)} of them damaged: {error}"
        else:
            learned[category] = len(damaged)
    return DamageRefit(adapted, learned, left)
