"""Damage on product types never seen, and after a few labelled photos of them: what fitting measured on the way.

Every fit leaves out one type after the other and writes down what heads that never saw it score (`left_out.json`
beside the weights); this reads it. Knows nothing of photos.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import WeightsError
from training.benchmark_section import Section, figure_table, image
from training.metrics import Figure, bootstrap
from training.plots import learning_curves

LEFT_OUT_FILE = "left_out.json"


@dataclass(frozen=True)
class LeftOutType:
    """unseen : AUROC on a type whose photos were never fitted on; after : by number of its photos labelled since."""

    unseen: Figure
    after: Mapping[int, Figure]


def read_left_out(weights_dir: Path) -> dict[str, LeftOutType]:
    """Return what was measured on each type left out, by product; nothing where the weights don't hold it.

    Raises WeightsError when the file is broken.
    """
    path = weights_dir / "damage" / LEFT_OUT_FILE
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {product: LeftOutType(_unseen(row), _after(row)) for product, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path.name} can't be read: {error!r}") from error


def left_out_section(found: Mapping[str, LeftOutType], plots_dir: Path) -> Section:
    """Return the section, with a learning curve."""
    sizes = sorted({size for one in found.values() for size in one.after})
    table = figure_table(
        ["product type", "photos", "none labelled", *(f"{size} labelled" for size in sizes)],
        [
            (product, [str(one.unseen.n), one.unseen, *(one.after.get(size) for size in sizes)])
            for product, one in found.items()
        ],
    )
    learning_curves(
        plots_dir / "damage-learning.svg",
        {product: [(0, one.unseen), *sorted(one.after.items())] for product, one in found.items()},
        title="Damage on a type never seen before",
        x_label="labelled photos of the type",
        y_label="AUROC on its other photos",
    )
    return Section(
        "Damage on product types never seen, and after a few labelled photos",
        (
            "Measured while the weights were fitted: each type with both classes is left out whole, and heads fitted "
            "on all others read its training photos (no test row is touched). The other columns are the mean over "
            "draws of that many labelled photos, taught by the function that retraining uses, on the photos not drawn, "
            "with 95 % of the draws.",
            table,
            image("damage-learning", alt="AUROC over labelled photos of a new type"),
        ),
        _means(found, sizes),
    )


def _means(found: Mapping[str, LeftOutType], sizes: list[int]) -> dict[str, Figure]:
    """Return the means over types, by figure name; a size counts only the types with photos enough."""
    named = {"damage.auroc_left_out": [one.unseen.value for one in found.values()]}
    for size in sizes:
        named[f"damage.auroc_after_{size}"] = [one.after[size].value for one in found.values() if size in one.after]
    return {name: _mean(np.array(values)) for name, values in named.items() if values}


def _mean(values: np.ndarray) -> Figure:
    return bootstrap(lambda kept: float(values[kept].mean()), np.arange(len(values)))


def _unseen(row: Mapping[str, Any]) -> Figure:
    value = float(row["auroc"])
    return Figure(value, float(row.get("low", value)), float(row.get("high", value)), int(row["n"]))


def _after(row: Mapping[str, Any]) -> dict[int, Figure]:
    """Return the mean over draws with 95 % of them, over the photos that were not drawn."""
    found = {}
    for size, values in row["after_labels"].items():
        low, high = np.percentile(values, [2.5, 97.5])
        found[int(size)] = Figure(float(np.mean(values)), float(low), float(high), int(row["n"]) - int(size))
    return found
