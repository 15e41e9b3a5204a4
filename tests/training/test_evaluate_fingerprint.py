"""Photos known again after a change, and wrong matches counted: on drawn scenes, one of them in two files."""

import csv
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from tests.models.test_fingerprint import scene
from training.evaluate_fingerprint import CHANGES, FingerprintFigures, fingerprint_table, measure_fingerprints
from training.shares import Share

N_SCENES = 6


def folder_of(path: Path, photos: dict[str, Image.Image], **product: str) -> None:
    """Write photos and their list: all of the test split; product : by photo, "mug" unless given."""
    path.mkdir(parents=True)
    for name, image in photos.items():
        image.save(path / name, "JPEG", quality=90)
    with (path / "photos.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("photo", "product", "split"))
        rows.writerows((name, product.get(name.removesuffix(".jpg"), "mug"), "test") for name in photos)
        rows.writerow(("not-there.jpg", "mug", "test"))


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> FingerprintFigures:
    data = tmp_path_factory.mktemp("data")
    scenes = {f"p{seed}.jpg": scene(seed) for seed in range(N_SCENES)}
    folder_of(data / "grocery", scenes)
    twin, series = {"twin.jpg": ImageOps.mirror(scene(0))}, {"series.jpg": scene(90)}
    folder_of(data / "damage", twin | series, series="tile_surface")
    return measure_fingerprints(data, n_asked=4)


def test_changed_photos_are_known_again(figures: FingerprintFigures) -> None:
    assert set(figures.recall) == set(figures.pdq_recall) == set(CHANGES)
    for change in ("JPEG at quality 30", "mirrored", "25 % cropped"):
        assert figures.recall[change] == Share(4, 4), change
    assert figures.pdq_recall["mirrored"] == Share(4, 4)


def test_series_and_absent_files_are_left_out_and_a_twin_counts_as_wrong(figures: FingerprintFigures) -> None:
    assert figures.n_indexed == N_SCENES + 1
    assert figures.false_matches == figures.pdq_false_matches == Share(2, N_SCENES + 1)


def test_the_table_names_every_change_and_the_wrong_matches(figures: FingerprintFigures) -> None:
    lines = fingerprint_table(figures).splitlines()
    assert len(lines) == 2 + len(CHANGES) + 1
    assert lines[-1].startswith("| none: wrongly another photo | 0.286")
