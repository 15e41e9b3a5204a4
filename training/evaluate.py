"""Every figure of case-format's "Measuring", on the test rows and cases of a data folder.

What the folder lacks is left out, not zero. Cases are ruled by the same path as everywhere else; baselines are
recomputed on the same rows in the same run. Knows which figures there are, not how the models work.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoders import prepare_text_encoder
from models.scorer import EvidenceScorer
from models.suggester import Suggester
from training.evaluate_chat import ScoredMessages, score_baselines, score_cases, score_reviews
from training.evaluate_damage import ScoredPhotos, damage_figures, score_baseline, score_test_photos
from training.evaluate_listing import ScoredPairs, evaluate_listing, mismatch_figures
from training.evaluate_rulings import RuledCases, rule_cases, ruling_figures
from training.fit_rulings import simulated_figures
from training.left_out import left_out_figures, read_left_out
from training.metrics import Figure, bootstrap, macro_f1
from training.photo_errors import load_photo_errors
from training.side_by_side import Progress
from training.statement_pool import load_pool
from training.written_cases import read_written_cases

PARTS = ("text", "photos", "rulings")


@dataclass(frozen=True)
class Scored:
    """What the figures were taken over; None where the data lacks it or where it was not asked for."""

    reviews: ScoredMessages | None = None
    review_baselines: Mapping[str, ScoredMessages] = field(default_factory=dict)
    chats: ScoredMessages | None = None
    photos: ScoredPhotos | None = None
    photo_baseline: ScoredPhotos | None = None
    pairs: ScoredPairs | None = None
    ruled: RuledCases | None = None


@dataclass(frozen=True)
class Evaluation:
    """figures : by name, e.g. "ruling.accuracy"; by_product : damage AUROC of each product type."""

    figures: dict[str, Figure]
    by_product: dict[str, Figure]
    scored: Scored = field(default_factory=Scored)

    def named(self) -> list[tuple[str, Figure]]:
        """Return every figure with its name, those of product types last."""
        types = [(f"damage.auroc_by_product.{name}", figure) for name, figure in sorted(self.by_product.items())]
        return sorted(self.figures.items()) + types

    def as_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {name: figure.as_json() for name, figure in sorted(self.figures.items())}
        if self.by_product:
            content["damage.auroc_by_product"] = {
                name: figure.as_json() for name, figure in sorted(self.by_product.items())
            }
        return content


def evaluate(
    suggester: Suggester,
    *,
    data_dir: Path,
    datasets_dir: Path,
    weights_dir: Path,
    cache_dir: Path,
    ruled_on: date,
    baselines: bool = True,
    n_simulated: int = 0,
    parts: tuple[str, ...] = PARTS,
    progress: Progress = lambda message: None,
) -> Evaluation:
    """Measure everything that `data_dir` allows; a figure without rows is left out.

    ruled_on : the day of ruling, which chooses the rule packs
    baselines : also fit and measure the simple baselines on the same rows
    n_simulated : also rule this many simulated cases
    parts : of PARTS, what to measure
    """
    scorer = suggester.scorer
    if not isinstance(scorer, EvidenceScorer):
        raise TypeError("an evaluation measures the classifiers themselves")
    figures: dict[str, Figure] = {}
    by_product: dict[str, Figure] = {}
    found: dict[str, Any] = {}

    def has(part: str, *names: str) -> bool:
        return part in parts and data_dir.joinpath(*names).exists()

    if has("text", "text", "reviews.csv"):
        progress("reviews")
        found["reviews"] = score_reviews(scorer.chat, data_dir)
        figures["statements.macro_f1"] = macro_f1_figure(found["reviews"], min_examples=1)
        if baselines and len(found["reviews"].groups):
            plain = prepare_text_encoder(cache_dir=cache_dir)
            found["review_baselines"] = score_baselines(data_dir, datasets_dir=datasets_dir, encoder=plain)
            for name, scored in found["review_baselines"].items():
                figures[f"statements.macro_f1.baseline_{name}"] = macro_f1_figure(scored, min_examples=1)
    if has("text", "cases", "statements.jsonl"):
        progress("chats")
        found["chats"] = score_cases(scorer.chat, data_dir)
        figures |= _chat_figures(found["chats"])
    if has("photos", "damage", "photos.csv"):
        progress("damage photos")
        found["photos"] = score_test_photos(scorer.damage, scorer.image_encoder, data_dir)
        damage, by_product = damage_figures(found["photos"])
        figures |= damage
        if baselines:
            found["photo_baseline"] = score_baseline(scorer.image_encoder, data_dir)
            if found["photo_baseline"] is None:
                progress("no baseline on damage photos: no training photos of both kinds")
            else:
                baseline, _ = damage_figures(found["photo_baseline"])
                figures |= {f"{name}.baseline_pooled": figure for name, figure in baseline.items() if "auroc" in name}
    if "photos" in parts:
        figures |= left_out_figures(read_left_out(weights_dir))
    if has("photos", "grocery", "photos.csv"):
        progress("listing pairs")
        found["pairs"] = pairs = evaluate_listing(scorer.listing, scorer.image_encoder, data_dir)
        figures |= mismatch_figures(pairs, pairs.y_prob)
        if baselines:
            for name, score in (("cosine", pairs.cosine), ("histogram", pairs.histogram)):
                figures |= {f"{key}.baseline_{name}": value for key, value in mismatch_figures(pairs, score).items()}
    if has("rulings", "cases", "outcomes.jsonl"):
        progress("rulings")
        cases = read_written_cases(data_dir / "cases")
        errors = load_photo_errors(weights_dir)
        found["ruled"] = rule_cases(
            suggester, scorer, cases, folder=data_dir / "cases", errors=errors, ruled_on=ruled_on
        )
        figures |= ruling_figures(found["ruled"])
    if n_simulated:
        progress(f"{n_simulated} simulated disputes")
        pool, errors = load_pool(weights_dir / "chat" / "pool.json"), load_photo_errors(weights_dir)
        figures |= simulated_figures(suggester.ruling, pool=pool, photo_errors=errors, n_cases=n_simulated, seed=0)
    measured = {name: figure for name, figure in figures.items() if not np.isnan(figure.value)}
    return Evaluation(measured, by_product, Scored(**found))


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    path.write_text(json.dumps(evaluation.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def macro_f1_figure(scored: ScoredMessages, rows: NDArray[np.bool_] | None = None, *, min_examples: int = 0) -> Figure:
    """Return macro-F1 at a probability of 0.5 over labels with `min_examples` or more among `rows`."""
    kept = np.ones(len(scored.groups), np.bool_) if rows is None else rows
    y_true, y_pred, groups = scored.y_true[kept], scored.y_prob[kept] >= 0.5, scored.groups[kept]
    columns = y_true.sum(axis=0) >= min_examples
    return bootstrap(
        lambda places: macro_f1(y_true[places][:, columns], y_pred[places][:, columns]), groups, n_bootstrap=200
    )


def _chat_figures(scored: ScoredMessages) -> dict[str, Figure]:
    figures = {"chat.macro_f1": macro_f1_figure(scored, min_examples=5)}
    for language in ("zh", "en"):
        rows = scored.language == language
        if rows.any():
            figures[f"chat.macro_f1_{language}"] = macro_f1_figure(scored, rows, min_examples=5)
    return figures
