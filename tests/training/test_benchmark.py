"""The benchmark: a report of what the data allows, whole or not at all; new types read by who never saw them."""

import json
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.errors import InputError, WeightsError
from models.photo import DamageClassifier, PhotoReading
from models.photo_cells import PhotoCells
from models.registry import SHIPPED_DIR
from tests.damage_goods import TinyEncoder, write_photos
from training.benchmark import Benchmark, missing_parts, run_benchmark
from training.benchmark_left_out import left_out_section
from training.benchmark_photos import damage_controls
from training.benchmark_section import BenchmarkConfig, Section, figure_table, read_sections, write_sections
from training.damage_data import read_damage_photos
from training.left_out import read_left_out
from training.metrics import Figure
from training.side_by_side import JobFailedError, Progress

FIGURE = Figure(0.9, 0.8, 1.0, 25, photos="simulated")


def _one_section(title: str, config: BenchmarkConfig, progress: Progress) -> list[Section]:
    progress(f"making {title}")
    (config.plots_dir / f"{title}.svg").write_text("<svg/>", encoding="utf-8")
    return [Section(title, ("Text.",), {f"{title}.accuracy": FIGURE, "damage.auroc_by_product.cup": FIGURE})]


def _fail(config: BenchmarkConfig, progress: Progress) -> list[Section]:
    raise InputError("a photo is missing", field="photos.csv:3")


@pytest.fixture
def config(tmp_path: Path) -> BenchmarkConfig:
    (tmp_path / "data" / "damage").mkdir(parents=True)
    (tmp_path / "data" / "damage" / "photos.csv").write_text("photo\n", encoding="utf-8")
    return BenchmarkConfig(
        data_dir=tmp_path / "data",
        datasets_dir=tmp_path,
        weights_dir=SHIPPED_DIR,
        cache_dir=tmp_path,
        plots_dir=tmp_path / "docs" / "benchmark",
        parts_dir=tmp_path,
        reports_dir=tmp_path / "reports",
        ruled_on=date(2026, 6, 1),
    )


def test_the_report_holds_every_section_and_says_what_was_left_out(config: BenchmarkConfig, tmp_path: Path) -> None:
    lines: list[str] = []
    sides = {"words": (partial(_one_section, "rulings"),), "photos": (partial(_one_section, "damage"),)}
    report = tmp_path / "docs" / "benchmark.md"
    found = run_benchmark(config, progress=lines.append, report=report, sides=sides)
    text = report.read_text(encoding="utf-8")
    assert text.index("## rulings") < text.index("## damage")
    assert "Left out, because the data folder lacks it: reviews, whole cases, listing photos." in text
    assert sorted(path.name for path in config.plots_dir.iterdir()) == ["damage.svg", "rulings.svg"]
    assert "photos: making damage" in lines
    assert found.evaluation.by_product == {"cup": FIGURE}
    assert set(found.evaluation.figures) == {"rulings.accuracy", "damage.accuracy"}


def test_a_side_that_fails_leaves_the_old_report_and_plots(config: BenchmarkConfig, tmp_path: Path) -> None:
    report = tmp_path / "docs" / "benchmark.md"
    config.plots_dir.mkdir(parents=True)
    (config.plots_dir / "old.svg").write_text("<svg/>", encoding="utf-8")
    report.write_text("old", encoding="utf-8")
    with pytest.raises(JobFailedError, match=r"photos failed: photos\.csv:3: a photo is missing"):
        run_benchmark(config, progress=lambda line: None, report=report, sides={"photos": (_fail,)})
    assert report.read_text(encoding="utf-8") == "old"
    assert [path.name for path in config.plots_dir.iterdir()] == ["old.svg"]


def test_a_folder_with_nothing_to_measure_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data: .* has none of text/reviews\.csv"):
        missing_parts(tmp_path)


def test_sections_survive_writing_and_reading(tmp_path: Path) -> None:
    sections = [Section("One", ("a", "b"), {"x": FIGURE}), Section("Two", ())]
    write_sections(sections, tmp_path / "part.json")
    assert read_sections(tmp_path / "part.json") == sections
    assert Benchmark(sections, []).evaluation.figures == {"x": FIGURE}


def test_a_table_shows_figures_with_their_interval() -> None:
    table = figure_table(["claim", "accuracy", "cases"], [("damaged", [FIGURE, None])])
    assert table.splitlines() == [
        "| claim | accuracy | cases |",
        "|---|---|---|",
        "| damaged | 0.900 (0.800 to 1.000) |  |",
    ]


@pytest.fixture(scope="module")
def photos_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


def test_what_fitting_measured_on_types_left_out_becomes_a_section(tmp_path: Path) -> None:
    (tmp_path / "damage").mkdir()
    rows = {
        "cup": {"auroc": 0.7, "low": 0.6, "high": 0.8, "n": 60, "after_labels": {"10": [0.8, 0.9], "50": [0.95, 0.97]}},
        "vase": {"auroc": 0.9, "n": 30, "after_labels": {"10": [0.9, 0.94]}},
    }
    (tmp_path / "damage" / "left_out.json").write_text(json.dumps(rows), encoding="utf-8")
    section = left_out_section(read_left_out(tmp_path), tmp_path / "plots")
    assert section.figures["damage.auroc_left_out"].value == pytest.approx(0.8)
    assert section.figures["damage.auroc_after_10"].value == pytest.approx(0.885)
    assert section.figures["damage.auroc_after_50"].value == pytest.approx(0.96)
    assert "| cup | 60 | 0.700 (0.600 to 0.800) |" in section.markdown()
    assert (tmp_path / "plots" / "damage-learning.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_weights_without_types_left_out_have_none_and_broken_ones_are_refused(tmp_path: Path) -> None:
    assert read_left_out(tmp_path) == {}
    (tmp_path / "damage").mkdir()
    (tmp_path / "damage" / "left_out.json").write_text('{"cup": {}}', encoding="utf-8")
    with pytest.raises(WeightsError, match=r"left_out\.json can't be read"):
        read_left_out(tmp_path)


def test_controls_are_scored_on_the_test_rows_alone(photos_dir: Path) -> None:
    class Blind(DamageClassifier):
        """Sees nothing, whatever it is shown."""

        def read(self, cells: PhotoCells) -> PhotoReading:
            nothing = np.zeros(1, np.float32)
            return PhotoReading(0.0, 0.0, nothing, nothing.astype(bool), nothing, nothing, 0.0)

        def decide(self, reading: PhotoReading) -> float:
            return 0.0

    blind = Blind()
    blind.views_ = {"twin": np.zeros(1, np.float32), "expert": np.zeros(1, np.float32)}
    controls = damage_controls(blind, TinyEncoder(), photos_dir)
    assert {"background only", "borders only", "colours only", "file only"} <= set(controls)
    n_test = sum(photo.split == "test" for photo in read_damage_photos(photos_dir))
    assert all(len(scored.y_prob) == n_test for scored in controls.values())
    assert np.unique(controls["classifier, borders only"].y_prob).tolist() == [0.0]
    assert np.unique(controls["background only"].y_prob).size > 1
