"""Scores the test photos with a damage classifier, and with a plain baseline on the same rows.

Returns arrays and point figures; intervals over products belong to `training.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.encoders import PHOTO_SIDE
from models.images import open_photo
from models.photo import DamageClassifier
from models.photo_cells import N_POOLED, read_cells
from training.damage_data import DamagePhoto, read_damage_photos, read_intact_goods
from training.damage_examples import Encoder

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
    """Score every test row of `data_dir/damage`, none excused, and grocery test photos if there are any."""
    photos = [photo for photo in read_damage_photos(data_dir) if photo.split == "test"]
    scores, pointed = [], []
    for photo in photos:
        image = _open(photo)
        score = classifier.score(encoder.encode(image))
        scores.append(score)
        x, y = score.hottest[0] / image.width, score.hottest[1] / image.height
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


def score_baseline(encoder: Encoder, data_dir: Path) -> ScoredPhotos:
    """Score the same test rows with logistic regression on pooled features, fitted on the training rows."""
    photos = read_damage_photos(data_dir)
    pooled = np.stack([read_cells(encoder.encode(_open(photo))).summary[:N_POOLED] for photo in photos])
    damaged = np.array([photo.damaged for photo in photos])
    test = np.array([photo.split == "test" for photo in photos])
    train = np.array([photo.split == "train" for photo in photos])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced")).fit(
        pooled[train], damaged[train]
    )
    nothing = np.full(int(test.sum()), np.nan)
    return ScoredPhotos(
        y_true=damaged[test],
        y_prob=np.asarray(model.predict_proba(pooled[test])[:, 1], np.float64),
        product=np.array([photo.product for photo in photos])[test],
        photo=np.array([str(photo.path) for photo in photos])[test],
        pointed=nothing,
        unfamiliarity=nothing,
        strangers=np.zeros(0),
    )


def auroc_by_product(scored: ScoredPhotos) -> dict[str, float]:
    """Return the AUROC of each product type that has both classes among the scored photos."""
    figures = {}
    for product in np.unique(scored.product):
        rows = scored.product == product
        if 0 < scored.y_true[rows].sum() < rows.sum():
            figures[str(product)] = float(roc_auc_score(scored.y_true[rows], scored.y_prob[rows]))
    return figures


def false_alarm_at_recall(y_true: NDArray[np.bool_], y_prob: Floats, *, recall: float = 0.9) -> float:
    """Return the share of intact photos at or above the threshold that finds `recall` of damaged ones."""
    hits = np.sort(y_prob[y_true])[::-1]
    threshold = hits[int(np.ceil(recall * len(hits))) - 1]
    return float((y_prob[~y_true] >= threshold).mean())


def damage_figures(scored: ScoredPhotos) -> dict[str, float]:
    """Return the point figures; what the rows don't allow is left out."""
    by_product = auroc_by_product(scored)
    figures: dict[str, Callable[[], float]] = {}
    if 0 < scored.y_true.sum() < len(scored.y_true):
        figures["damage.auroc"] = lambda: float(roc_auc_score(scored.y_true, scored.y_prob))
        figures["damage.false_alarm_at_recall_90"] = lambda: false_alarm_at_recall(scored.y_true, scored.y_prob)
    if by_product:
        figures["damage.auroc_macro"] = lambda: float(np.mean(list(by_product.values())))
    if np.isfinite(scored.pointed).any():
        figures["damage.pointing"] = lambda: float(np.nanmean(scored.pointed))
    if len(scored.strangers) and np.isfinite(scored.unfamiliarity).all():
        figures["damage.ood_auroc"] = lambda: ood_auroc(scored.unfamiliarity, scored.strangers)
    return {name: figure() for name, figure in figures.items()}


def ood_auroc(known: Floats, strangers: Floats) -> float:
    """Return the chance that a stranger looks less familiar than a known photo."""
    truth = np.concatenate([np.zeros(len(known)), np.ones(len(strangers))])
    return float(roc_auc_score(truth, np.concatenate([known, strangers])))


def _open(photo: DamagePhoto) -> Image.Image:
    return open_photo(photo.path.read_bytes(), needed_side=PHOTO_SIDE).image
