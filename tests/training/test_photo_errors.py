"""Photo scores are drawn from what was measured, and only from that."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.errors import WeightsError
from training.photo_errors import load_photo_errors


def _write(folder: Path, damage: object, listing: object) -> None:
    for name, content in (("damage", damage), ("listing", listing)):
        (folder / name).mkdir()
        (folder / name / "error_rates.json").write_text(json.dumps(content))


def test_draws_come_from_the_list_of_their_truth(tmp_path: Path) -> None:
    _write(tmp_path, {"damaged": [0.7, 0.8], "intact": [0.1]}, {"match": [0.2], "sibling": [0.6], "random": [0.9]})
    errors = load_photo_errors(tmp_path)
    rng = np.random.default_rng(0)
    assert {errors.draw_damage(rng, damaged=True) for _ in range(50)} == {0.7, 0.8}
    assert {errors.draw_damage(rng, damaged=False) for _ in range(50)} == {0.1}
    assert {errors.draw_mismatch(rng, matches=False) for _ in range(50)} == {0.6, 0.9}
    assert {errors.draw_mismatch(rng, matches=True) for _ in range(50)} == {0.2}


@pytest.mark.parametrize("damage", [{"damaged": [], "intact": [0.1]}, {"intact": [0.1]}, "nonsense"])
def test_missing_rates_are_a_clear_error(tmp_path: Path, damage: object) -> None:
    _write(tmp_path, damage, {"match": [0.2], "sibling": [0.6], "random": [0.9]})
    with pytest.raises(WeightsError, match="error rates"):
        load_photo_errors(tmp_path)
