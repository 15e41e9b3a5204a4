"""Plots are small SVG files, the same for the same figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.metrics import Figure
from training.plots import learning_curves, reliability_diagram, roc_curves

RNG = np.random.default_rng(0)
SCORE = RNG.random(300)
TRUTH = RNG.random(300) < SCORE
POINTS = [(0, Figure(0.6, 0.5, 0.7, 50)), (10, Figure(0.8, 0.7, 0.9, 40))]

Draw = Callable[[Path], None]
DRAWN: dict[str, Draw] = {
    "reliability": lambda path: reliability_diagram(path, {"cases": (SCORE, TRUTH)}, title="Rulings"),
    "roc": lambda path: roc_curves(path, {"cup": (TRUTH, SCORE), "one class": (TRUTH | True, SCORE)}, title="Damage"),
    "learning": lambda path: learning_curves(
        path, {"cup": POINTS}, title="New type", x_label="photos", y_label="AUROC"
    ),
}


@pytest.mark.parametrize("name", list(DRAWN))
def test_a_plot_is_a_small_file_and_the_same_each_time(name: str, tmp_path: Path) -> None:
    for place in ("first", "second"):
        DRAWN[name](tmp_path / place / "plot.svg")
    first, second = ((tmp_path / place / "plot.svg").read_bytes() for place in ("first", "second"))
    assert first == second
    assert first.startswith(b"<?xml")
    assert len(first) < 60_000


def test_a_curve_without_both_classes_is_left_out(tmp_path: Path) -> None:
    DRAWN["roc"](tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert "cup (0." in text
    assert "one class" not in text
