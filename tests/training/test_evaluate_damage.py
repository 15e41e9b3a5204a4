"""Damage figures over the test rows of any folder, also one without training rows or with absent photos."""

import csv
from pathlib import Path

import numpy as np
import pytest

from models.errors import CaseFormatError
from models.photo import DamageClassifier
from models.registry import SHIPPED_DIR
from tests.damage_goods import TinyEncoder, write_photos
from training.evaluate_damage import damage_figures, score_baseline, score_test_photos


@pytest.fixture
def classifier() -> DamageClassifier:
    return DamageClassifier.load(SHIPPED_DIR / "damage")


def _only_test_rows(root: Path) -> list[str]:
    """Take the training rows and their photos out of the folder; return the photos that are left."""
    table = root / "damage" / "photos.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    with table.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        for row in rows:
            if row["split"] == "test":
                writer.writerow(row)
            else:
                (table.parent / row["photo"]).unlink()
    return [row["photo"] for row in rows if row["split"] == "test"]


def test_a_folder_of_test_rows_alone_is_measured_without_a_baseline(
    tmp_path: Path, classifier: DamageClassifier
) -> None:
    photos = _only_test_rows(write_photos(tmp_path))
    scored = score_test_photos(classifier, TinyEncoder(), tmp_path)
    assert [Path(photo).name for photo in scored.photo] == photos
    assert score_baseline(TinyEncoder(), tmp_path) is None


def test_the_baseline_tells_blots_from_none(tmp_path: Path) -> None:
    baseline = score_baseline(TinyEncoder(), write_photos(tmp_path))
    assert baseline is not None
    figures, _ = damage_figures(baseline)
    assert figures["damage.auroc"].n == len(baseline.y_true) == 12
    assert figures["damage.auroc"].value > 0.5


def test_an_absent_test_photo_is_named_before_any_is_scored(tmp_path: Path, classifier: DamageClassifier) -> None:
    root = write_photos(tmp_path)
    (root / "damage" / "cup15.png").unlink()
    with pytest.raises(CaseFormatError, match=r"photos\.csv: cup15\.png: no such file"):
        score_test_photos(classifier, TinyEncoder(), root)


def test_without_rows_every_figure_is_nan(tmp_path: Path, classifier: DamageClassifier) -> None:
    table = tmp_path / "damage" / "photos.csv"
    table.parent.mkdir()
    table.write_text("photo,product,damaged,source,split,boxes\n", encoding="utf-8")
    figures, by_product = damage_figures(score_test_photos(classifier, TinyEncoder(), tmp_path))
    assert by_product == {}
    assert all(np.isnan(figure.value) and figure.n == 0 for figure in figures.values())
