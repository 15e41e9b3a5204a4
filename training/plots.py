"""Small SVG plots: reliability diagrams, ROC and learning curves, a value over the months.

The same figures give the same bytes. Knows nothing of what is plotted.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from training.metrics import Figure, auroc

mpl.use("svg")
from matplotlib import pyplot as plt

_STYLE = {
    "svg.hashsalt": "evidence-review",
    "svg.fonttype": "none",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_MOST_POINTS = 80


def reliability_diagram(
    path: Path, curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.bool_]]], *, title: str, n_bins: int = 10
) -> None:
    """Draw the accuracy of equal-mass bins over their confidence, with 95 % intervals.

    curves : by name, (confidence in [0, 1], correct), shape (n_cases,) each
    """
    figure, axes = _canvas(title, "confidence", "share right")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle="--")
    for name, (confidence, correct) in curves.items():
        bins = np.array_split(np.argsort(confidence, kind="stable"), max(1, min(n_bins, len(confidence) // 5 or 1)))
        x = np.array([confidence[rows].mean() for rows in bins])
        y = np.array([correct[rows].mean() for rows in bins])
        spread = np.array([1.96 * np.sqrt(max(p * (1 - p), 1e-9) / len(rows)) for p, rows in zip(y, bins, strict=True)])
        axes.errorbar(x, y, yerr=spread, marker="o", markersize=3, linewidth=1, label=f"{name} (n={len(confidence)})")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    _save(figure, axes, path)


def roc_curves(path: Path, curves: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.float64]]], *, title: str) -> None:
    """Draw an ROC curve for each (y_true, y_score) that has both classes."""
    figure, axes = _canvas(title, "false alarms", "found")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle="--")
    for name, (y_true, y_score) in curves.items():
        if len(np.unique(y_true)) < 2:
            continue
        false, found, _ = roc_curve(y_true, y_score)
        kept = np.unique(np.linspace(0, len(false) - 1, _MOST_POINTS).round().astype(int))
        axes.plot(false[kept], found[kept], linewidth=1, label=f"{name} ({auroc(y_true, y_score):.3f})")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    _save(figure, axes, path)


def learning_curves(
    path: Path, curves: Mapping[str, Sequence[tuple[int, Figure]]], *, title: str, x_label: str, y_label: str
) -> None:
    """Draw figures with their intervals over a number of examples.

    curves : by name, (number of examples, figure) in ascending order
    """
    figure, axes = _canvas(title, x_label, y_label)
    for name, points in curves.items():
        x = [n for n, _ in points]
        y = np.array([point.value for _, point in points])
        low, high = (np.array([getattr(point, side) for _, point in points]) for side in ("low", "high"))
        (line,) = axes.plot(x, y, marker="o", markersize=3, linewidth=1, label=name)
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    _save(figure, axes, path)


def time_lines(
    path: Path, lines: Mapping[str, Sequence[float]], *, events: Mapping[str, float], title: str, y_label: str
) -> None:
    """Draw a value a month for each name.

    lines : by name, shape (n_months,), the first month is 1; events : by name, months passed until it happens
    """
    figure, axes = _canvas(title, "month", y_label)
    figure.set_size_inches(6.4, 4.2)
    for name, passed in events.items():
        axes.axvline(passed + 0.5, color="0.75", linewidth=0.8, linestyle="--")
        axes.annotate(
            name,
            (passed + 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, -8),
            textcoords="offset points",
            fontsize=6,
            color="0.45",
        )
    for name, values in lines.items():
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=2.5, linewidth=1, label=name)
    _save(figure, axes, path, legend_below=True)


def _canvas(title: str, x_label: str, y_label: str) -> tuple[Any, Any]:
    with mpl.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(4.2, 3.4))
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    return figure, axes


def _save(figure: Any, axes: Any, path: Path, *, legend_below: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        if legend_below:
            axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
        elif axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
