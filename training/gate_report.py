"""The gate's report for people: one HTML page that stands alone, its plots, and the figures as JSON.

Knows nothing of how the verdict was reached.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader
from numpy.typing import NDArray

from models.ruling import RULINGS, RulingClassifier
from models.suggester import CalibratedOn
from training.corrections import Learned
from training.gate import Answers, Verdict
from training.outcome_table import OutcomeTable
from training.refit_rulings import refit_rulings
from training.splits import LINKS
from training.suspects import Suspect

_SHARES = (0.25, 0.5, 0.75, 1.0)
_MOST_SUSPECTS = 50
_USES = {
    "teach": "taught the challenger",
    "calibrate": "calibrated it",
    "frozen": "judged: frozen hold-out",
    "newest": "judged: newest blind cases",
    "set_aside": "set aside, for a case that judges or calibrates has the same",
    **{f"set_aside.{link}": f"… {'look-alike photo' if link == 'photo' else link}" for link in LINKS},
}


def learning_curve(
    teaching: OutcomeTable,
    calibrating: OutcomeTable,
    judged: OutcomeTable,
    *,
    simulated: tuple[NDArray[np.float64], NDArray[np.intp]],
    like: RulingClassifier,
    seed: int,
) -> list[tuple[int, float]]:
    """Return (cases taught, log-loss on the judged) for growing shares of the teaching cases, drawn at random."""
    if len(judged) == 0:
        return []
    order = np.random.default_rng(seed).permutation(len(teaching))
    points = []
    for share in _SHARES:
        some = teaching.rows([int(place) for place in order[: round(share * len(order))]])
        if len(np.unique(some.y_true)) < 2:
            continue
        fitted = refit_rulings(some, calibrating, simulated=simulated, like=like, seed=seed).classifier
        said = fitted.predict_proba(judged.X)[np.arange(len(judged)), judged.y_true]
        points.append((len(some), float(-np.log(np.maximum(said, 1e-12)).mean())))
    return points


def write_report(
    folder: Path,
    *,
    verdict: Verdict,
    judged: OutcomeTable,
    champion: Answers,
    challenger: Answers,
    curve: Sequence[tuple[int, float]],
    counts: dict[str, int],
    doubtful: Sequence[Suspect],
    names: tuple[str, str],
    calibrated_on: CalibratedOn,
    readings: Mapping[str, Learned],
) -> None:
    """Write report.html and report.json into `folder`.

    names : model versions of champion and challenger; readings : by part, what people's corrections changed
    """
    content = {
        "champion": names[0],
        "challenger": names[1],
        "calibrated_on": calibrated_on,
        "verdict": asdict(verdict),
        "splits": counts,
        "learning_curve": list(curve),
        "n_suspects": len(doubtful),
        "readings": {part: {"learned": found.learned, "left": found.left} for part, found in readings.items()},
    }
    (folder / "report.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    plots = _plots(judged, champion, challenger, curve) if len(judged) else {}
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = environment.get_template("gate_report.template.html").render(
        verdict=verdict,
        names=names,
        counts=counts,
        uses=_USES,
        plots=plots,
        doubtful=doubtful[:_MOST_SUSPECTS],
        n_doubtful=len(doubtful),
        calibrated_on=calibrated_on,
        readings=readings,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")


def _plots(
    judged: OutcomeTable, champion: Answers, challenger: Answers, curve: Sequence[tuple[int, float]]
) -> dict[str, str]:
    """Return each plot as a PNG data address, by its title."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    both = (("champion", champion, "0.55"), ("challenger", challenger, "C0"))
    figures = {}
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    axes[0].plot([0, 1], [0, 1], color="0.8")
    for name, said, colour in both:
        confidence, right = _reliability(judged.y_true, said.y_prob)
        axes[0].plot(confidence, right, marker="o", label=name, color=colour)
    axes[0].set(xlabel="confidence", ylabel="share right", title="Reliability (equal-mass bins)")
    axes[0].legend()
    rows = np.arange(len(judged))
    claims = np.unique(judged.slices["claim"])
    for place, (name, said, colour) in enumerate(both):
        held = [said.in_set[rows, judged.y_true][judged.slices["claim"] == claim].mean() for claim in claims]
        axes[1].barh(np.arange(len(claims)) + 0.4 * place, held, height=0.4, label=name, color=colour)
    axes[1].axvline(1 - challenger.alpha, color="C3", linestyle="--")
    axes[1].set(yticks=np.arange(len(claims)) + 0.2, yticklabels=claims, title="Coverage of prediction sets by claim")
    if curve:
        axes[2].plot(*zip(*curve, strict=True), marker="o")
    axes[2].set(xlabel="outcomes taught", ylabel="log-loss on judged cases", title="Learning curve")
    figures["Reliability, coverage, learning curve"] = _png(figure)
    plt.close(figure)
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.6), layout="constrained")
    for axis, (name, said, _) in zip(axes, both, strict=True):
        counts = np.zeros((len(RULINGS), len(RULINGS)), int)
        np.add.at(counts, (judged.y_true, said.y_prob.argmax(axis=1)), 1)
        axis.imshow(counts, cmap="Blues")
        for (row, column), count in np.ndenumerate(counts):
            if count:
                shade = "white" if count > counts.max() / 2 else "black"
                axis.text(column, row, str(count), ha="center", va="center", color=shade)
        axis.set(
            xticks=range(len(RULINGS)), yticks=range(len(RULINGS)), yticklabels=RULINGS, title=f"Confusion, {name}"
        )
        axis.set_xticklabels(RULINGS, rotation=30, ha="right")
        axis.set(xlabel="suggested", ylabel="ruled by people")
    figures["Confusion"] = _png(figure)
    plt.close(figure)
    return figures


def _reliability(y_true: NDArray[np.intp], y_prob: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    confidence, right = y_prob.max(axis=1), y_prob.argmax(axis=1) == y_true
    bins = np.array_split(np.argsort(confidence, kind="stable"), max(1, min(8, len(confidence) // 10)))
    return [float(confidence[places].mean()) for places in bins], [float(right[places].mean()) for places in bins]


def _png(figure: object) -> str:
    kept = io.BytesIO()
    figure.savefig(kept, format="png", dpi=80)  # type: ignore[attr-defined]
    return "data:image/png;base64," + base64.b64encode(kept.getvalue()).decode()
