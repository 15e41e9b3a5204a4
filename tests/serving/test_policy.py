"""The queue's order weighs amounts of several currencies by what they are worth."""

from datetime import UTC, datetime

import pytest

from serving.policy import priority

DUE = datetime(2026, 3, 1, tzinfo=UTC)


def _place(minor: int, currency: str) -> float:
    return priority(due_at=DUE, paid_minor=minor, currency=currency, uncertainty=None)


@pytest.mark.parametrize(("minor", "currency"), [(2_000, "USD"), (3_000, "JPY"), (1_600, "GBP")])
def test_like_amounts_stand_side_by_side(minor: int, currency: str) -> None:
    assert _place(minor, currency) == pytest.approx(_place(15_000, "CNY"), abs=0.3)
