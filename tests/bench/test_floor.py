"""The floor: multiply-adds counted by hand where they can be."""

from bench.floor import gemm_rate, int8_rate, text_multiply_adds


def test_the_chat_encoders_multiply_adds_are_those_of_its_matrices() -> None:
    weights = 12 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert text_multiply_adds(1, layers=12) == (weights, 12 * 2 * 384)
    assert text_multiply_adds(100, layers=12) == (100 * weights, 12 * 2 * 384 * 10_000)


def test_the_rate_of_the_matrix_product_is_measured() -> None:
    assert gemm_rate(64, 64, 64, n_times=50) > 1e6
    assert int8_rate(64, 64, 64, n_times=50) > 1e6
