"""Damage on product types never seen, and after a few labelled photos of them, as fitting measured it on the way.

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
from training.metrics import Figure, bootstrap

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


def left_out_figures(found: Mapping[str, LeftOutType]) -> dict[str, Figure]:
    """Return the means over types by figure name; a number of labels counts only the types with photos enough."""
    named = {"damage.auroc_left_out": [one.unseen.value for one in found.values()]}
    for size in label_counts(found):
        named[f"damage.auroc_after_{size}"] = [one.after[size].value for one in found.values() if size in one.after]
    return {name: _mean(np.array(values)) for name, values in named.items() if values}


def label_counts(found: Mapping[str, LeftOutType]) -> list[int]:
    """Return after how many labelled photos anything was measured."""
    return sorted({size for one in found.values() for size in one.after})


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
