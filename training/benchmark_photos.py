"""The benchmark's sections on photos: damage on known product types, listing match, shortcuts, ablations.

Knows nothing of texts or rulings.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.encoders import PHOTO_SIDE, ImageEncoder
from models.images import open_photo
from models.listing import LIKENESSES, ListingMatcher
from models.photo import DamageClassifier, PhotoReading
from models.photo_cells import N_POOLED, read_cells
from models.scorer import EvidenceScorer
from training.benchmark_left_out import left_out_section
from training.benchmark_part import evaluate_part
from training.benchmark_section import BenchmarkConfig, Section, figure_table, image
from training.damage_data import DamagePhoto, read_damage_photos
from training.damage_examples import Encoder
from training.evaluate import Evaluation
from training.evaluate_damage import ScoredPhotos
from training.evaluate_listing import ScoredPairs, evaluate_listing, mismatch_figures
from training.left_out import read_left_out
from training.metrics import Figure, auroc_of, bootstrap
from training.mistakes import write_photo_mistakes
from training.plots import roc_curves
from training.shortcuts import ALTERATIONS, Alteration, colours, file_traits, fit_control
from training.side_by_side import Progress

Floats = NDArray[np.float64]


def photo_sections(config: BenchmarkConfig, progress: Progress) -> list[Section]:
    """Return the sections on photos that the data allows."""
    suggester, found = evaluate_part(config, "photos", progress)
    scorer = suggester.scorer
    if not isinstance(scorer, EvidenceScorer):
        raise TypeError("a benchmark measures the classifiers themselves")
    encoder = scorer.image_encoder
    write_photo_mistakes(found.scored, config.reports_dir)
    sections = []
    if found.scored.photos is not None:
        progress("damage shortcuts and ablations")
        controls = damage_controls(scorer.damage, encoder, config.data_dir)
        sections.append(_damage_section(found, controls, config.plots_dir))
        left_out = read_left_out(config.weights_dir)
        if left_out:
            sections.append(left_out_section(left_out, config.plots_dir))
    if found.scored.pairs is not None:
        progress("listing shortcuts and ablations")
        sections.append(_listing_section(found, scorer.listing, encoder, config))
    return sections


def damage_controls(classifier: DamageClassifier, encoder: Encoder, data_dir: Path) -> dict[str, ScoredPhotos]:
    """Return what the test photos can be told apart by: parts of the classifier, and controls that see no goods.

    "... alone" is one score of the classifier; "classifier, ..." the classifier on test photos without their goods; the
    rest are logistic regressions fitted on the training rows' altered photos, colours or file traits, left out where
    training photos aren't of both kinds.
    """
    photos = [photo for photo in read_damage_photos(data_dir) if photo.split in ("train", "test")]
    train = np.array([photo.split == "train" for photo in photos])
    y_true = np.array([photo.damaged for photo in photos])
    features: dict[str, list[Floats]] = {name: [] for name in (*ALTERATIONS, "colours_only", "file_only")}
    own: dict[str, list[float]] = {}
    for photo in photos:
        data = photo.path.read_bytes()
        image = open_photo(data, needed_side=PHOTO_SIDE).image
        features["colours_only"].append(colours(image))
        features["file_only"].append(file_traits(data))
        if photo.split == "test":
            for name, value in _scores_alone(classifier, classifier.read(read_cells(encoder.encode(image)))).items():
                own.setdefault(name, []).append(value)
        for name, alter in ALTERATIONS.items():
            cells = read_cells(encoder.encode(alter(image)))
            features[name].append(np.asarray(cells.summary[:N_POOLED], np.float64))
            if photo.split == "test":
                own.setdefault(f"classifier, {name}", []).append(classifier.decide(classifier.read(cells)))
    scores = {name: np.array(values) for name, values in own.items()}
    if len(np.unique(y_true[train])) == 2:
        scores |= {name: fit_control(np.stack(rows), y_true, train) for name, rows in features.items()}
    test = [photo for photo in photos if photo.split == "test"]
    return {name.replace("_", " "): _scored(test, values) for name, values in scores.items()}


def _scores_alone(classifier: DamageClassifier, reading: PhotoReading) -> dict[str, float]:
    views = {f"{view} view alone": float(reading.inputs @ classifier.views_[view]) for view in ("twin", "expert")}
    return {"few hottest cells alone": reading.narrow, "many hottest cells alone": reading.wide, **views}


def listing_controls(matcher: ListingMatcher, encoder: ImageEncoder, data_dir: Path) -> dict[str, dict[str, Figure]]:
    """Return the mismatch figures where the received photo shows its surroundings alone."""
    return {name: _figures_of(matcher, encoder, data_dir, alter=alter) for name, alter in ALTERATIONS.items()}


def _figures_of(
    matcher: ListingMatcher, encoder: ImageEncoder, data_dir: Path, *, alter: Alteration | None = None
) -> dict[str, Figure]:
    pairs = evaluate_listing(matcher, encoder, data_dir, alter=alter)
    return mismatch_figures(pairs, pairs.y_prob)


def _alone(matcher: ListingMatcher, place: int) -> ListingMatcher:
    """Return the matcher with one likeness deciding alone."""
    alone = copy.copy(matcher)
    alone.slopes_ = tuple(-1.0 if other == place else 0.0 for other in range(len(LIKENESSES)))
    alone.intercept_ = 0.0
    return alone


def _damage_section(found: Evaluation, controls: Mapping[str, ScoredPhotos], plots_dir: Path) -> Section:
    photos, baseline = found.scored.photos, found.scored.photo_baseline
    if photos is None:
        raise ValueError("damage photos were not scored")
    rows = [("classifier", photos), *([("plain pooled features", baseline)] if baseline else []), *controls.items()]
    types = sorted(found.by_product)
    table = figure_table(
        ["scored by", "all test photos", *types],
        [(name, [_of_type(scored, None), *(_of_type(scored, kind) for kind in types)]) for name, scored in rows],
    )
    roc_curves(
        plots_dir / "damage-roc.svg",
        {kind: _rows_of(photos, kind) for kind in types} | {"all": (photos.y_true, photos.y_prob)},
        title="Damage, test photos",
    )
    return Section(
        "Damage in photos of known product types",
        (
            "AUROC on the test rows, over all photos and within each product type that has both classes. First the "
            "classifier and the simple baseline; then each score of the classifier alone; then the controls: the "
            "classifier on photos without their goods (object painted grey; all but the outer 8 % painted grey), and "
            "logistic regressions fitted on the training rows that see only that, only the colour histogram, or only "
            "the file (size, compression, EXIF, format).",
            table,
            "Over all photos a control can be high without any look at goods: the sources differ, and only one of them "
            "photographed intact garments. Within a type the photos are of one source; there a high control means that "
            "the damage reaches into the rim, or that the classes were photographed differently.",
            image("damage-roc", alt="ROC of damage by product type"),
        ),
        dict(found.figures) | {f"damage.auroc_by_product.{kind}": value for kind, value in found.by_product.items()},
    )


def _listing_section(
    found: Evaluation, matcher: ListingMatcher, encoder: ImageEncoder, config: BenchmarkConfig
) -> Section:
    pairs = found.scored.pairs
    if pairs is None:
        raise ValueError("listing pairs were not scored")
    rows: list[tuple[str, dict[str, Figure]]] = [
        ("matcher", mismatch_figures(pairs, pairs.y_prob)),
        ("plain cosine", mismatch_figures(pairs, pairs.cosine)),
        ("colour histogram (colours only)", mismatch_figures(pairs, pairs.histogram)),
    ]
    rows += [
        (f"matcher, received photo {name.replace('_', ' ')}", figures)
        for name, figures in listing_controls(matcher, encoder, config.data_dir).items()
    ]
    rows += [
        (f"likeness of the {name} alone", _figures_of(_alone(matcher, place), encoder, config.data_dir))
        for place, name in enumerate(LIKENESSES)
    ]
    table = figure_table(
        ["scored by", "other families", "siblings"],
        [(name, [got.get("mismatch.auroc_random"), got.get("mismatch.auroc_sibling")]) for name, got in rows],
    )
    roc_curves(
        config.plots_dir / "listing-roc.svg",
        {kind: _pair_rows(pairs, kind) for kind in ("random", "sibling")},
        title="Received goods against the listing",
    )
    return Section(
        "Received goods against the listing",
        (
            "AUROC on families never seen in training: each test photo with its own listing against one of another "
            "family, and against its siblings. Controls hide the goods in the received photo (the middle ellipse, or "
            "all but the outer 8 %): what is left can't be told by the goods. The last rows are ablations.",
            table,
            image("listing-roc", alt="ROC of listing mismatch"),
        ),
    )


def _scored(photos: Sequence[DamagePhoto], values: Floats) -> ScoredPhotos:
    nothing = np.full(len(photos), np.nan)
    return ScoredPhotos(
        y_true=np.array([photo.damaged for photo in photos]),
        y_prob=values,
        product=np.array([photo.product for photo in photos]),
        photo=np.array([str(photo.path) for photo in photos]),
        pointed=nothing,
        unfamiliarity=nothing,
        strangers=np.zeros(0),
    )


def _rows_of(scored: ScoredPhotos, product: str | None) -> tuple[NDArray[np.bool_], Floats]:
    rows = np.flatnonzero(scored.product == product) if product else np.arange(len(scored.y_true))
    return scored.y_true[rows], scored.y_prob[rows]


def _of_type(scored: ScoredPhotos, product: str | None) -> Figure:
    y_true, y_prob = _rows_of(scored, product)
    groups = scored.product if product is None else np.arange(len(y_true))
    return bootstrap(auroc_of(y_true, y_prob), groups)


def _pair_rows(pairs: ScoredPairs, kind: str) -> tuple[NDArray[np.bool_], Floats]:
    rows = (pairs.kind == kind) | (~pairs.y_true)
    return pairs.y_true[rows], pairs.y_prob[rows]
