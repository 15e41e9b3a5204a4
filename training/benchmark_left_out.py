"""The benchmark's section on damage in product types never seen, and what a few labelled photos of them add."""

from collections.abc import Mapping
from pathlib import Path

from training.benchmark_section import Section, figure_table, image
from training.left_out import LeftOutType, label_counts, left_out_figures
from training.plots import learning_curves


def left_out_section(found: Mapping[str, LeftOutType], plots_dir: Path) -> Section:
    """Return the section, with a learning curve."""
    sizes = label_counts(found)
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
        left_out_figures(found),
    )
