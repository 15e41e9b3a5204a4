"""A model that fails when it is tried says so with a known error, and is refused for good only where that is sure."""

from pathlib import Path

import pytest

from models.errors import ReviewError, TrialError, WeightsError
from models.suggester import Suggester
from serving.model_trial import RefusedModels, tried


def test_an_error_of_a_library_is_one_of_ours_so_that_a_start_goes_on_without_the_model(tmp_path: Path) -> None:
    def load(_: Path) -> Suggester:
        raise ValueError("operands could not be broadcast together")

    with pytest.raises(ReviewError, match="ValueError: operands could not be broadcast"):
        tried(load, tmp_path)


def test_what_is_wrong_for_sure_is_refused_at_once_and_the_rest_when_it_comes_a_third_time() -> None:
    refused = RefusedModels()
    assert refused.failed(1, WeightsError("altered"))
    assert [refused.failed(2, TrialError("?")) for _ in range(3)] == [False, False, True]
    assert not refused.failed(3, TrialError("?"))
    refused.worked(3)
    assert [refused.failed(3, TrialError("?")) for _ in range(3)] == [False, False, True]
    assert all(number in refused for number in (1, 2, 3))
