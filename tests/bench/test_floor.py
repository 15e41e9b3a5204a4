"""The floor: multiply-adds counted by hand where they can be."""

import pytest

from bench.floor import gemm_rate, int8_rate, text_floor_s, text_multiply_adds


def test_the_chat_encoders_multiply_adds_are_those_of_its_matrices() -> None:
    weights = 12 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert text_multiply_adds(1, layers=12) == (weights, 12 * 2 * 384)
    assert text_multiply_adds(100, layers=12) == (100 * weights, 12 * 2 * 384 * 10_000)


def test_the_rate_of_the_matrix_product_is_measured() -> None:
    assert gemm_rate(64, 64, 64, for_s=0.01) > 1e6
    assert int8_rate(64, 64, 64, for_s=0.01) > 1e6


def test_the_chat_encoders_floor_grows_with_its_layers_and_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.floor.int8_rate", lambda *shape: 1e9)
    monkeypatch.setattr("bench.floor.gemm_rate", lambda *shape: 1e9)
    by_weights, attention = text_multiply_adds(100, layers=6)
    assert text_floor_s([100, 100], layers=6) == pytest.approx(2 * (by_weights + attention) / 1e9)
