"""Sums of money are read as people write them, and only what the seller offered becomes an amount."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.amounts import refund_amount, sums_minor
from models.vocabulary import Ruling, StatementLabel
from tests.builders import build_case, build_evidence, happened, hours, said


@pytest.mark.parametrize(
    ("text", "sums"),
    [
        ("退你30元", [3000]),
        ("退 ¥30.5 行吗", [3050]),
        ("补你3块5", [350]),
        ("20块吧", [2000]),
        ("20块钱", [2000]),
        ("I can refund $12.50 or £8", [1250, 800]),
        ("15 bucks", [1500]),
        ("RMB 50, 60 rmb", [5000, 6000]),
        ("退1,299元", [129900]),
        ("$1,299.00 back", [129900]),
        ("€1,000,000", [100000000]),
        ("３０元", [3000]),
        ("300ml 杯子, 2026-03-01", []),
        ("退20%", []),
        ("1.2.3元", []),
        ("", []),
        (None, []),
    ],
)
def test_sums_are_read_as_they_are_written(text: str | None, sums: list[int]) -> None:
    assert sums_minor(text, "CNY") == sums


def test_sums_have_the_decimals_of_the_order() -> None:
    assert sums_minor("返金 ¥3,000、または1500円 or 800 yen, 5000日元", "JPY") == [3000, 1500, 800, 5000]


def test_a_word_that_begins_like_a_currency_is_none() -> None:
    assert sums_minor("10 Cadbury bars, 3 cadets, 30 yenta, Academy cad 5 and AUD5", "AUD") == [500, 500]


@given(st.integers(1, 10**8))
def test_every_written_price_is_read_back(minor: int) -> None:
    assert sums_minor(f"退你{minor / 100:.2f}元", "CNY") == [minor]
    assert sums_minor(f"refund ${minor / 100:,.2f} now", "USD") == [minor]


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading(text: str) -> None:
    assert all(found >= 0 for found in sums_minor(text, "CNY"))


@pytest.mark.parametrize("unit", ["1", "1,", "1.", "$", "$1", "１"])
def test_a_hostile_text_is_read_at_once(unit: str) -> None:
    sums_minor(
        (unit * 20_000)[:20_000], "CNY"
    )  # the suite's time limit is the oracle: a quadratic reading takes minutes


def _offer(text: str, *, at: float = 60) -> dict[str, object]:
    return {"message_id": "m1", "at": hours(at), "speaker": "seller", "text": text}


@pytest.mark.parametrize("ruling", [Ruling.REFUND, Ruling.RETURN_AND_REFUND])
def test_a_full_refund_is_the_price_paid(ruling: Ruling) -> None:
    assert refund_amount(build_evidence(build_case(order={"paid_minor": 5900})), ruling) == 5900


@pytest.mark.parametrize("ruling", [Ruling.DISMISS, Ruling.REPLACE, Ruling.REQUEST_EVIDENCE])
def test_where_nothing_is_refunded_there_is_no_amount(ruling: Ruling) -> None:
    case = build_case(timeline=[happened("offer", "seller", note="退20元")])
    assert refund_amount(build_evidence(case), ruling) is None


def test_a_partial_refund_is_the_last_sum_the_seller_offered() -> None:
    offers = said("seller", {StatementLabel.OFFERS_PARTIAL: 0.9}, place=0)
    later = build_case(timeline=[happened("offer", "seller", at=60, note="退20元")], chat=[_offer("30元", at=70)])
    earlier = build_case(timeline=[happened("offer", "seller", at=60, note="退20元")], chat=[_offer("30元", at=50)])
    assert refund_amount(build_evidence(later, offers), Ruling.PARTIAL_REFUND) == 3000
    assert refund_amount(build_evidence(earlier, offers), Ruling.PARTIAL_REFUND) == 2000


def test_sums_the_buyer_named_or_over_the_price_are_no_offers() -> None:
    case = build_case(
        timeline=[happened("offer", "buyer", note="我要40元"), happened("offer", "seller", note="退99元")],
        chat=[_offer("杯子卖30元")],
    )
    evidence = build_evidence(case, said("seller", {StatementLabel.OFFERS_PARTIAL: 0.1}, place=0))
    assert refund_amount(evidence, Ruling.PARTIAL_REFUND) is None
