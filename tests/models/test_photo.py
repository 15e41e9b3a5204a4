"""The damage classifier scores, points and keeps its weights; a head with known weights is the oracle."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.encoders import PhotoFeatures
from models.errors import NotFittedError, WeightsError
from models.photo import Calibration, DamageClassifier
from models.photo_cells import GRID, N_SUMMARY, content_share, read_cells

WIDTH = 4


def make_features(
    *,
    hot: tuple[int, int] | None = None,
    offset: tuple[int, int] = (0, 112),
    size: tuple[int, int] = (896, 448),
) -> PhotoFeatures:
    """Return features that are zero, but for channel 0 of stride16 in one cell (row, column)."""
    maps: dict[str, NDArray[np.float32]] = {
        "stride8": np.zeros((40, 56, 56), np.float32),
        "stride16": np.zeros((112, GRID, GRID), np.float32),
        "stride32": np.zeros((320, 14, 14), np.float32),
        "head": np.ones((1280, 14, 14), np.float32),
    }
    if hot is not None:
        maps["stride16"][0, hot[0], hot[1]] = 1.0
    thumbnail = np.zeros((112, 112, 3), np.uint8)
    return PhotoFeatures(maps=maps, thumbnail=thumbnail, scale=2.0, offset=offset, size=size)


def make_classifier() -> DamageClassifier:
    """Return a head that answers 10 * (stride16 channel 0) - 4 in each cell."""
    head = {
        "bias": np.zeros(WIDTH),
        "around.weight": np.zeros((WIDTH, 3, 3)),
        "around.bias": np.zeros(WIDTH),
        "mix.weight": np.zeros((WIDTH, WIDTH)),
        "mix.bias": np.zeros(WIDTH),
        "out.weight": np.array([10.0, 0, 0, 0]),
        "out.bias": np.array(-4.0),
    }
    for level, channels in (("stride8", 80), ("stride16", 112), ("stride32", 320)):
        head |= {
            f"{level}.mean": np.zeros(channels),
            f"{level}.std": np.ones(channels),
            f"{level}.weight": np.zeros((WIDTH, channels)),
            f"{level}.usual": np.zeros((WIDTH, channels)),
        }
    head["stride16.weight"][0, 0] = 1.0
    views = {name: np.zeros(N_SUMMARY) for name in ("mean", "twin", "expert")} | {"std": np.ones(N_SUMMARY)}
    views |= {"code.mean": np.zeros(1280), "code.std": np.ones(1280), "code.axes": np.eye(1280)[:, :2]}
    classifier = DamageClassifier(encoder_digest="abc")
    classifier.heads_ = ({name: values.astype(np.float32) for name, values in head.items()},)
    classifier.narrow_cells_, classifier.wide_cells_ = 1, 2
    classifier.views_ = {name: values.astype(np.float32) for name, values in views.items()}
    classifier.calibration_ = Calibration(familiar=(1.0, 0.0, 0.0), unfamiliar=(0.5, 0.0, 0.0))
    classifier.codes_ = np.array([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]], np.float32)
    classifier.distances_ = np.array([0.1, 0.2, 0.4], np.float32)
    return classifier


def test_the_hottest_cell_decides_the_probability() -> None:
    classifier = make_classifier()
    cold = classifier.score(make_features())
    warm = classifier.score(make_features(hot=(14, 20)))
    assert cold.probability == pytest.approx(1 / (1 + np.exp(4.0)), rel=1e-5)
    assert warm.probability == pytest.approx(1 / (1 + np.exp(-6.0)), rel=1e-5)


def test_the_region_is_where_the_damage_is_in_original_pixels() -> None:
    features = make_features(hot=(14, 20))
    score = make_classifier().score(features)
    # cell (14, 20) covers letterbox pixels x 320..336, y 224..240; 112 are padding above; 2 originals a pixel
    assert score.region == (640, 224, 672, 256)
    assert make_classifier().hottest(features) == (656, 240)
    assert np.unravel_index(score.heat_map.argmax(), score.heat_map.shape) == (14, 20)


def test_no_region_is_shown_where_nothing_stands_out() -> None:
    assert make_classifier().score(make_features()).region is None


def test_padding_is_never_damaged() -> None:
    score = make_classifier().score(make_features(hot=(2, 20)))
    assert score.probability == pytest.approx(1 / (1 + np.exp(4.0)), rel=1e-5)
    assert score.heat_map[2, 20] == 0


def test_heat_and_unfamiliarity_stay_between_0_and_1() -> None:
    score = make_classifier().score(make_features(hot=(14, 20)))
    assert 0 <= score.heat_map.min() <= score.heat_map.max() <= 1
    assert 0 <= score.out_of_distribution <= 1


def test_a_photo_far_from_all_known_ones_looks_less_familiar_and_trusts_the_expert_less() -> None:
    classifier = make_classifier()
    near = make_features(hot=(14, 20))
    far = make_features(hot=(14, 20))
    far.maps["head"][:] = -1.0
    assert classifier.score(far).out_of_distribution > classifier.score(near).out_of_distribution
    # narrow: the hottest cell, 6; wide: the mean of 6 and -4, halved by its weight
    assert classifier.score(far).raw == pytest.approx(0.5, rel=1e-5)
    assert classifier.score(near).raw == pytest.approx(6.0, rel=1e-5)


def test_saved_and_loaded_scores_are_equal(tmp_path: Path) -> None:
    classifier = make_classifier()
    classifier.save(tmp_path)
    loaded = DamageClassifier.load(tmp_path)
    features = make_features(hot=(14, 20))
    assert loaded.score(features).probability == pytest.approx(classifier.score(features).probability, abs=1e-6)
    assert loaded.encoder_digest == "abc"


def test_scoring_before_fit_is_refused() -> None:
    with pytest.raises(NotFittedError):
        DamageClassifier().score(make_features())


def test_the_expert_moves_the_score_of_familiar_photos_only() -> None:
    classifier = make_classifier()
    classifier.calibration_ = Calibration(familiar=(0.0, 2.0, 0.0), unfamiliar=(0.0, 0.0, 0.0))
    classifier.views_["expert"][0] = 1.5  # type: ignore[index]
    near, far = make_features(), make_features()
    far.maps["head"][:] = -1.0
    assert classifier.score(near).raw == pytest.approx(3.0, rel=1e-5)
    assert classifier.score(far).raw == pytest.approx(0.0, abs=1e-6)


def test_a_photo_one_pixel_wide_is_scored() -> None:
    thin = make_features(offset=(224, 0), size=(2, 896))
    assert 0 < make_classifier().score(thin).probability < 1


def test_missing_or_broken_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="damage weights"):
        DamageClassifier.load(tmp_path / "absent")
    make_classifier().save(tmp_path)
    (tmp_path / "head.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError):
        DamageClassifier.load(tmp_path)


def test_content_share_counts_padding_out() -> None:
    share = content_share(make_features(), cells=GRID)
    assert share[:7].max() == 0
    assert share[7:21].min() == 1
    assert share[21:].max() == 0


def test_cells_keep_mean_and_maximum_of_the_finest_level() -> None:
    features = make_features()
    features.maps["stride8"][3, 10, 10] = 4.0
    cells = read_cells(features)
    assert cells.levels["stride8"][3, 5, 5] == pytest.approx(1.0)
    assert cells.levels["stride8"][43, 5, 5] == pytest.approx(4.0)
