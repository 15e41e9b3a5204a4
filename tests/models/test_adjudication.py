"""What is expected of the rules is what they order draw by draw; asking them once a question is only quicker."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.adjudication import Adjudication, draws, expected_orders
from models.burden import Order, adjudicate
from models.domain import Case
from models.evidence import Finding
from models.findings import AGREED_REMEDIES, PROPOSITIONS, Findings
from models.rule_pack import RulePack, shipped_rule_book
from models.vocabulary import Claim, GoodsState, Ruling
from tests.builders import build_case

ON = date(2026, 6, 1)
PROBABILITIES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


def _findings(**stated: float) -> Findings:
    everything = {name: Finding(stated.get(name, 0.0), ("m1",)) for name in PROPOSITIONS}
    return Findings(everything, {remedy: Finding(0.0) for remedy in AGREED_REMEDIES})


@st.composite
def findings(draw: st.DrawFn) -> Findings:
    stated = {name: Finding(draw(PROBABILITIES)) for name in PROPOSITIONS}
    return Findings(stated, {remedy: Finding(draw(st.sampled_from([0.0, 0.1, 0.25]))) for remedy in AGREED_REMEDIES})


def pack_of(case: Case) -> RulePack:
    return shipped_rule_book().pack_for(case, ruled_on=ON)


def draw_by_draw(case: Case, given: Findings) -> dict[Order, float]:
    """Return the share of draws on which the rules, asked about each, give each order."""
    found: dict[Order, float] = {}
    stated = [given.stated[name].probability for name in PROPOSITIONS]
    settled = [0.0 if p < 0.01 else 1.0 if p > 0.99 else p for p in stated]
    edges = np.cumsum([given.agreed[remedy].probability for remedy in AGREED_REMEDIES])
    for *uniforms, last in draws():
        holds = {name: u < p for name, u, p in zip(PROPOSITIONS, uniforms, settled, strict=True)}
        place = int((edges <= last).sum())
        agreed = AGREED_REMEDIES[place] if place < len(edges) else None
        order = adjudicate(case, pack_of(case), holds, agreed=agreed)
        found[order] = found.get(order, 0.0) + 1 / len(draws())
    return found


@given(
    findings=st.lists(findings(), min_size=1, max_size=3),
    claim=st.sampled_from(Claim),
    requested=st.sampled_from(["refund", "return_and_refund", "partial_refund", "replace"]),
    goods_state=st.sampled_from(GoodsState),
    platform=st.sampled_from(["taobao", "jd", "ebay"]),
)
def test_expected_orders_are_those_of_asking_the_rules_draw_by_draw(
    findings: list[Findings], claim: Claim, requested: str, goods_state: GoodsState, platform: str
) -> None:
    order = {**build_case().order.model_dump(), "goods_state": goods_state}
    case = build_case(claim=claim, requested=requested, platform=platform, order=order)
    found = Adjudication(case, pack_of(case)).expected_orders(findings)
    for one, orders in zip(findings, found, strict=True):
        expected = draw_by_draw(case, one)
        assert list(orders) == list(expected)
        assert orders == pytest.approx(expected, abs=1e-12)
        assert sum(orders.values()) == pytest.approx(1.0)


def test_packs_with_the_same_name_keep_their_own_orders() -> None:
    case = build_case(claim="not_received")
    pack = pack_of(case)
    other = pack.model_copy(update={"claims": {**pack.claims, Claim.NOT_RECEIVED: pack.claims[Claim.COUNTERFEIT]}})
    unproved = _findings(provenance=1.0)
    for _ in range(2):
        assert [order.ruling for order in expected_orders(case, pack, unproved)] == [Ruling.REFUND]
        assert [order.ruling for order in expected_orders(case, other, unproved)] == [Ruling.DISMISS]


def test_settled_findings_give_one_order() -> None:
    case = build_case(claim="not_received")
    orders = expected_orders(case, pack_of(case), _findings(delivery=0.001))
    assert [order.ruling for order in orders] == [Ruling.REFUND]


def test_stronger_proof_never_lowers_the_chance_of_its_verdict() -> None:
    case = build_case(claim="not_received")
    dismissed = []
    for probability in (0.1, 0.4, 0.7, 0.95):
        orders = expected_orders(case, pack_of(case), _findings(delivery=probability))
        dismissed.append(sum(p for order, p in orders.items() if order.ruling == Ruling.DISMISS))
    assert dismissed == sorted(dismissed)
    assert dismissed[-1] == pytest.approx(0.95, abs=0.02)
