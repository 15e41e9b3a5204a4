"""Damage experts on product categories, from photos that people labelled in the course of deciding.

A category with too few labelled photos, or whose expert does no better on photos it didn't learn from, is named and
left to the classifier as it is. Knows nothing of splits or rulings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.encoders import PHOTO_SIDE, ImageEncoder
from models.errors import CalibrationError, ImageError
from models.images import open_photo
from models.photo import DamageClassifier, PhotoReading
from models.photo_cells import read_cells
from training.corrections import Learned, last_words, seller_of
from training.damage_types import TypePhotos, held_out_logits, learn_type, with_type
from training.reading_gate import Told, judge_reading
from training.snapshot import DecidedCase


@dataclass(frozen=True)
class DamageRefit(Learned):
    """learned : number of labelled photos by category that now has an expert; left : why the others have none"""

    classifier: DamageClassifier


def refit_damage(
    classifier: DamageClassifier, decided: Sequence[DecidedCase], *, encoder: ImageEncoder, seed: int = 0
) -> DamageRefit:
    """Return the classifier with an expert on each category with enough labelled photos among these cases.

    A photo that several cases hold, or that was labelled again, counts once, by its last label. An expert that takes
    the place of an earlier one on its category is compared with the classifier without it, which learned from none of
    the photos.
    """
    labelled: dict[str, dict[bytes, tuple[bool, str]]] = {}
    for one in decided:
        for correction in last_words(one, "photo"):
            data = one.file.photos.get(correction.ref)
            if correction.damaged is not None and data is not None:
                category = one.file.case.listing.category or "none"
                labelled.setdefault(category, {})[data] = (correction.damaged, seller_of(one))
    learned, left = {}, {}
    adapted = classifier
    known = {expert.product for expert in classifier.types_}
    for category, photos in sorted(labelled.items()):
        readings, damaged, sellers = [], [], []
        for data, (is_damaged, seller) in photos.items():
            try:
                photo = open_photo(data, needed_side=PHOTO_SIDE)
            except ImageError:
                continue
            readings.append(classifier.read(read_cells(encoder.encode(photo.image, scale=photo.scale))))
            damaged.append(is_damaged)
            sellers.append(seller)
        if not readings:
            continue
        read = _type_photos(readings, damaged)
        counted = f"{len(damaged)} labelled photos, {sum(damaged)} of them damaged"
        try:
            new = held_out_logits(read)
        except CalibrationError as error:
            left[category] = f"{counted}: {error}"
            continue
        old = read.base if category in known else np.array([classifier.decide(reading) for reading in readings])
        verdict = judge_reading(Told(read.damaged, old, new, np.array(sellers, np.str_)), seed=seed)
        if verdict.passed:
            adapted = with_type(adapted, learn_type(read, product=category))
            learned[category] = len(damaged)
        else:
            left[category] = f"{counted}: {'; '.join(verdict.reasons)}"
    return DamageRefit(learned, left, adapted)


def _type_photos(readings: Sequence[PhotoReading], damaged: Sequence[bool]) -> TypePhotos:
    return TypePhotos(
        inputs=np.stack([reading.inputs for reading in readings]),
        base=np.array([reading.base for reading in readings]),
        codes=np.stack([reading.code for reading in readings]),
        damaged=np.array(damaged, bool),
    )
