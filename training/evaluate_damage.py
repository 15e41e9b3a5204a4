"""Scores the test photos with a damage classifier, and with a plain baseline on the same rows.

Returns arrays, and the `damage.*` figures over them. Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.encoders import PHOTO_SIDE
from models.errors import CaseFormatError
from models.images import open_photo
from models.photo import DamageClassifier
from models.photo_cells import N_POOLED, read_cells
from training.damage_data import DamagePhoto, read_damage_photos, read_intact_goods
from training.damage_examples import Encoder
from training.metrics import Figure, auroc, auroc_of, bootstrap, false_alarm_at_recall

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredPhotos:
    """Test photos and what was scored, one a row.

    y_true : bool (n,), damaged; y_prob : float (n,), in [0, 1]; product, photo : str (n,)
    pointed : float (n,), 1 where the hottest point lies in a box, 0 where not, NaN where no box was drawn
    unfamiliarity : float (n,), in [0, 1], of the test photos
    strangers : float (n_strangers,), unfamiliarity of goods whose damage was never labelled (grocery test
        photos)
    """

    y_true: NDArray[np.bool_]
    y_prob: Floats
    product: NDArray[np.str_]
    photo: NDArray[np.str_]
    pointed: Floats
    unfamiliarity: Floats
    strangers: Floats


def score_test_photos(classifier: DamageClassifier, encoder: Encoder, data_dir: Path) -> ScoredPhotos:
    """Score every test row of `data_dir/damage`, none excused, and grocery test photos if there are any.

    Raises CaseFormatError naming the test photos that are absent.
    """
    photos = [photo for photo in read_damage_photos(data_dir) if photo.split == "test"]
    _refuse_absent(photos, table=data_dir / "damage" / "photos.csv")
    scores, pointed = [], []
    for photo in photos:
        image = _open(photo)
        features = encoder.encode(image)
        scores.append(classifier.score(features))
        column, row = classifier.hottest(features)
        x, y = column / image.width, row / image.height
        inside = any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in photo.boxes)
        pointed.append(float(inside) if photo.boxes else np.nan)
    strangers = [
        classifier.score(encoder.encode(_open(photo))).out_of_distribution
        for photo in read_intact_goods(data_dir, split="test")
        if photo.product == "grocery_received"
    ]
    return ScoredPhotos(
        y_true=np.array([photo.damaged for photo in photos]),
        y_prob=np.array([score.probability for score in scores]),
        product=np.array([photo.product for photo in photos]),
        photo=np.array([str(photo.path) for photo in photos]),
        pointed=np.array(pointed),
        unfamiliarity=np.array([score.out_of_distribution for score in scores]),
        strangers=np.array(strangers),
    )


def score_baseline(encoder: Encoder, data_dir: Path) -> ScoredPhotos | None:
    """Score the same test rows with logistic regression on pooled features, fitted on the training rows.

    None where the training photos at hand aren't of both kinds.
    """
    photos = read_damage_photos(data_dir)
    train = [photo for photo in photos if photo.split == "train" and photo.path.is_file()]
    test = [photo for photo in photos if photo.split == "test"]
    if not test or len({photo.damaged for photo in train}) < 2:
        return None
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced")).fit(
        _pooled(train, encoder), [photo.damaged for photo in train]
    )
    nothing = np.full(len(test), np.nan)
    return ScoredPhotos(
        y_true=np.array([photo.damaged for photo in test]),
        y_prob=np.asarray(model.predict_proba(_pooled(test, encoder))[:, 1], np.float64),
        product=np.array([photo.product for photo in test]),
        photo=np.array([str(photo.path) for photo in test]),
        pointed=nothing,
        unfamiliarity=nothing,
        strangers=np.zeros(0),
    )


def damage_figures(scored: ScoredPhotos) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """Return (figures, AUROC by product), intervals over products where there are several, else over photos."""
    y_true, y_prob, product = scored.y_true, scored.y_prob, scored.product
    figures = {
        "damage.auroc": bootstrap(lambda rows: auroc(y_true[rows], y_prob[rows]), product),
        "damage.false_alarm_at_recall_90": bootstrap(
            lambda rows: false_alarm_at_recall(y_true[rows], y_prob[rows], recall=0.9), product
        ),
    }
    by_product = {}
    for name in np.unique(product):
        rows = np.flatnonzero(product == name)
        if 0 < y_true[rows].sum() < len(rows):
            by_product[str(name)] = bootstrap(auroc_of(y_true[rows], y_prob[rows]), np.arange(len(rows)))
    if by_product:
        values = np.array([figure.value for figure in by_product.values()])
        figures["damage.auroc_macro"] = bootstrap(lambda kept: float(values[kept].mean()), np.arange(len(values)))
    boxed = np.flatnonzero(~np.isnan(scored.pointed))
    if len(boxed):
        pointed = scored.pointed[boxed]
        figures["damage.pointing"] = bootstrap(lambda kept: float(pointed[kept].mean()), np.arange(len(boxed)))
    if len(scored.strangers) and len(scored.unfamiliarity):
        figures["damage.ood_auroc"] = _ood(scored)
    return figures, by_product


def _ood(scored: ScoredPhotos) -> Figure:
    known, strangers = scored.unfamiliarity, scored.strangers
    both = np.concatenate([known, strangers])
    truth = np.arange(len(both)) >= len(known)
    return bootstrap(auroc_of(truth, both), np.arange(len(both)))


def _refuse_absent(photos: Sequence[DamagePhoto], *, table: Path) -> None:
    absent = [
        (str(photo.path.relative_to(table.parent)), "no such file") for photo in photos if not photo.path.is_file()
    ]
    if absent:
        raise CaseFormatError(absent, source=str(table))


def _pooled(photos: Sequence[DamagePhoto], encoder: Encoder) -> NDArray[np.float32]:
    return np.stack([read_cells(encoder.encode(_open(photo))).summary[:N_POOLED] for photo in photos])


def _open(photo: DamagePhoto) -> Image.Image:
    return open_photo(photo.path.read_bytes(), needed_side=PHOTO_SIDE).image
