"""A sum has the decimals of its currency, and is read back as it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import decimals, minor_of, written


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(123456, "CNY", "1,234.56"), (5900, "JPY", "5,900"), (5900, "KWD", "5.900"), (5, "USD", "0.05"), (0, "KRW", "0")],
)
def test_a_sum_has_the_decimals_of_its_currency(minor: int, currency: str, text: str) -> None:
    assert written(minor, currency) == text


def test_an_unknown_currency_has_two_decimals() -> None:
    assert decimals("XYZ") == 2


@given(st.integers(0, 10**15), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_a_sum_is_read_back(minor: int, currency: str) -> None:
    assert minor_of(written(minor, currency), currency) == minor


@pytest.mark.parametrize("text", ["", "ten", "NaN", "inf", "1.2.3", "1e99999999", "1e999990", "-1e300000", "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no sum"):
        minor_of(text, "CNY")
