"""Fitting the damage classifier on tiny photos made here: it must learn, repeat itself and keep what it learned."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import CalibrationError, CaseFormatError
from models.photo import DamageClassifier
from models.photo_cells import GRID, N_SUMMARY
from models.photo_point import most_marked
from tests.damage_goods import COLOURS, TinyEncoder, draw_goods, write_photos
from training.damage_data import (
    DamagePhoto,
    erase_boxes,
    parse_boxes,
    read_damage_photos,
    read_intact_goods,
)
from training.damage_examples import DRAWN, ExampleCounts, ExampleTable, drawn_examples
from training.damage_head import HeadSettings
from training.damage_pointer import PointerSettings, fit_pointer
from training.damage_types import adapt_to_photos
from training.damage_views import fit_views, read_views
from training.evaluate_damage import damage_figures, score_test_photos
from training.fit_damage import (
    ERROR_RATES_FILE,
    LEFT_OUT_FILE,
    FittedDamage,
    encode_training,
    fit_table,
    fit_with_scores,
)
from training.harmless_changes import draw_ruler, reframe, vary_harmlessly
from training.photo_scene import find_object
from training.synthetic_damage import damage_photo

COUNTS = ExampleCounts(bases_per_type=7, variants_per_type=7, long_side=96)
SETTINGS = HeadSettings(width=8, passes=4.0, pairs=6, n_heads=1)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def train_photos(data_dir: Path) -> list[DamagePhoto]:
    return [photo for photo in read_damage_photos(data_dir) if photo.split == "train"]


@pytest.fixture(scope="module")
def fitted(data_dir: Path) -> FittedDamage:
    return fit_with_scores(data_dir, encoder=TinyEncoder(), seed=3, settings=SETTINGS, counts=COUNTS)


def test_it_tells_damaged_from_intact_photos_it_never_saw(fitted: FittedDamage, data_dir: Path) -> None:
    figures, _ = damage_figures(score_test_photos(fitted.classifier, TinyEncoder(), data_dir))
    assert figures["damage.auroc"].value > 0.9
    assert figures["damage.pointing"].value > 0.6
    assert "damage.ood_auroc" not in figures


def test_the_same_seed_gives_the_same_classifier(
    fitted: FittedDamage, train_photos: list[DamagePhoto], data_dir: Path
) -> None:
    again = fit_with_scores(data_dir, encoder=TinyEncoder(), seed=3, settings=SETTINGS, counts=COUNTS).classifier
    features = TinyEncoder().encode(Image.open(train_photos[1].path))
    first, second = fitted.classifier.score(features), again.score(features)
    assert first.probability == pytest.approx(second.probability, abs=1e-5)


def test_the_exported_arrays_score_as_the_trained_head_does(
    fitted: FittedDamage, train_photos: list[DamagePhoto], tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    loaded = DamageClassifier.load(tmp_path)
    features = TinyEncoder().encode(Image.open(train_photos[0].path))
    assert loaded.score(features).raw == pytest.approx(fitted.classifier.score(features).raw, abs=0.02)


def test_error_rates_are_probabilities_of_types_left_out(fitted: FittedDamage, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    rates = json.loads((tmp_path / ERROR_RATES_FILE).read_text())
    assert set(rates) == {"damaged", "intact"}
    assert len(rates["damaged"]) == len(rates["intact"]) == 14
    assert all(0 <= value <= 1 for values in rates.values() for value in values)


def test_a_type_learned_from_its_photos_is_kept_with_the_weights(
    fitted: FittedDamage, train_photos: list[DamagePhoto], tmp_path: Path
) -> None:
    cups = [photo for photo in train_photos if photo.product == "cup"]
    adapted = adapt_to_photos(fitted.classifier, cups, TinyEncoder())
    adapted.save(tmp_path)
    loaded = DamageClassifier.load(tmp_path)
    features = TinyEncoder().encode(Image.open(cups[0].path))
    assert [expert.product for expert in loaded.types_] == ["cup"]
    assert loaded.score(features).raw == pytest.approx(adapted.score(features).raw, abs=0.02)
    assert fitted.classifier.types_ == ()


def test_figures_on_types_left_out_are_kept_with_the_weights(fitted: FittedDamage, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    left_out = json.loads((tmp_path / LEFT_OUT_FILE).read_text())
    assert set(left_out) == set(COLOURS)
    assert all(0 <= figures["auroc"] <= 1 and figures["n"] == 14 for figures in left_out.values())


def test_fewer_than_two_types_with_both_classes_are_refused(train_photos: list[DamagePhoto]) -> None:
    cups = [photo for photo in train_photos if photo.product == "cup"]
    with pytest.raises(CalibrationError):
        fit_table(encode_training(cups, [], encoder=TinyEncoder(), counts=COUNTS), settings=SETTINGS)


def test_twins_cancel_what_the_goods_look_like() -> None:
    rng = np.random.default_rng(0)
    n = 60
    summary = np.zeros((2 * n, N_SUMMARY), np.float32)
    summary[:, 0] = np.repeat(rng.normal(0, 10, n), 2)
    summary[1::2, 1] = 1.0
    summary += rng.normal(0, 0.1, summary.shape)
    nothing = np.zeros((2 * n, 1))
    table = ExampleTable(
        fine=nothing.astype(np.float16), coarse=nothing.astype(np.float16), summary=summary,
        content=nothing.astype(np.float32), marks=nothing > 0, marks_known=nothing[:, 0] == 0,
        damaged=np.arange(2 * n) % 2 == 1, product=np.array(["cup"] * (2 * n)), photo=np.array(["a"] * (2 *
        n)), origin=np.array([DRAWN] * (2 * n)), twin=np.where(np.arange(2 * n) % 2 == 1, np.arange(2 * n) -
    1, -1), )  # fmt: skip
    views = fit_views(table, np.arange(2 * n))
    twin, _ = read_views(views, summary)
    assert twin[1::2].min() > twin[::2].max()


def test_drawn_pairs_hold_an_intact_and_a_damaged_photo_of_the_same_goods(
    train_photos: list[DamagePhoto],
) -> None:
    examples = list(drawn_examples(train_photos, [], counts=COUNTS, rng=np.random.default_rng(0)))
    drawn = [example for example in examples if example.origin == DRAWN]
    assert {example.damaged for example in drawn} == {True, False}
    assert all(example.marks is not None and (example.marks.max() > 0.3) == example.damaged for example in drawn)


@pytest.mark.parametrize("seed", range(12))
def test_drawn_damage_changes_the_photo_inside_its_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = draw_goods("cup", damaged=False, rng=rng).astype(np.float32)
    harmed = damage_photo(pixels, rng)
    change = np.abs(harmed.pixels - pixels).sum(-1)
    assert harmed.pixels.shape == pixels.shape
    assert harmed.mask.min() >= 0
    assert harmed.mask.max() <= 1
    assert not harmed.kind or change[harmed.mask > 0.3].max() > 25


def test_the_object_is_found_on_a_plain_background_only() -> None:
    rng = np.random.default_rng(0)
    found = find_object(draw_goods("cup", damaged=False, rng=rng).astype(np.float32))
    assert found is not None
    assert found[48, 48]
    assert not found[2, 2]
    assert find_object(rng.uniform(0, 255, (96, 96, 3)).astype(np.float32)) is None


def test_harmless_changes_keep_size_and_range() -> None:
    rng = np.random.default_rng(1)
    pixels = draw_goods("vase", damaged=False, rng=rng).astype(np.float32)
    for changed in (draw_ruler(pixels, rng), vary_harmlessly(pixels, rng)):
        assert changed.shape == pixels.shape
        assert 0 <= changed.min() <= changed.max() <= 255


def test_photo_and_mask_are_reframed_together() -> None:
    pixels = np.zeros((40, 60, 3), np.float32)
    mask = np.zeros((40, 60), np.float32)
    pixels[10:20, 30:50] = mask[10:20, 30:50, None] = 1.0
    for seed in range(10):
        framed, (framed_mask,) = reframe(pixels, [mask], np.random.default_rng(seed))
        assert np.array_equal(framed[..., 0], framed_mask)


def test_erased_marks_are_gone() -> None:
    rng = np.random.default_rng(2)
    pixels = np.full((96, 96, 3), 200, np.float32)
    pixels[40:50, 40:50] = 20
    erased = erase_boxes(pixels, [(0.4, 0.4, 0.53, 0.53)], rng)
    assert erased[40:50, 40:50].min() > 150


def test_boxes_are_read_as_corners_from_centre_and_size() -> None:
    assert parse_boxes("0.5 0.5 0.2 0.4; 0.1 0.1 0.2 0.2") == (
        pytest.approx((0.4, 0.3, 0.6, 0.7)),
        pytest.approx((0.0, 0.0, 0.2, 0.2)),
    )


def test_bad_rows_are_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "damage").mkdir()
    header = "photo,product,damaged,source,split,boxes\n"
    (tmp_path / "damage" / "photos.csv").write_text(header + "a.jpg,cup,maybe,x,train,\n")
    with pytest.raises(CaseFormatError, match="line 2"):
        read_damage_photos(tmp_path)


def test_goods_are_optional(tmp_path: Path) -> None:
    assert read_intact_goods(tmp_path) == []


def test_cells_are_as_many_as_the_classifier_reads() -> None:
    features = TinyEncoder().encode(Image.new("RGB", (64, 32)))
    assert features.maps["stride16"].shape[-1] == GRID


def test_the_pointer_learns_where_small_marks_lie(data_dir: Path, train_photos: list[DamagePhoto]) -> None:
    cups = []
    rng = np.random.default_rng(8)
    for number in range(12):
        pixels = np.clip(rng.normal(200, 3, (96, 96, 3)), 0, 255).astype(np.uint8)
        row, column = (int(place) for place in rng.integers(16, 80, 2))
        pixels[row - 4 : row + 4, column - 4 : column + 4] = 20
        path = data_dir / f"marked{number}.png"
        Image.fromarray(pixels).save(path)
        box = ((column - 4) / 96, (row - 4) / 96, (column + 4) / 96, (row + 4) / 96)
        cups.append(DamagePhoto(path, "cup", damaged=True, source="drawn", split="train", boxes=(box,)))
    pointer = fit_pointer(cups[:8], encoder=TinyEncoder(), settings=PointerSettings(variants=1, long_side=96))
    hits = 0
    for cup in cups[8:]:
        features = TinyEncoder().encode(Image.open(cup.path))
        column, row = most_marked(features, pointer, np.zeros((GRID, GRID), np.float32))
        x0, y0, x1, y1 = cup.boxes[0]
        hits += x0 <= column / GRID <= x1 and y0 <= row / GRID <= y1
    assert hits >= 3
    assert fit_pointer([photo for photo in train_photos if not photo.boxes], encoder=TinyEncoder()) == {}
