"""The burden of proof: the table of domain rules, applied to settled propositions."""

from datetime import date
from typing import Any

import pytest

from models.burden import adjudicate, ledger
from models.evidence import Finding
from models.findings import AGREED_REMEDIES, PROPOSITIONS, Findings, Proposition
from models.rule_pack import shipped_rule_book
from models.vocabulary import Responsible, Ruling
from tests.builders import build_case

ON = date(2026, 6, 1)


def _order(claim: str, *true: Proposition, agreed: Ruling | None = None, **changes: Any):  # type: ignore[no-untyped-def]
    case = build_case(claim=claim, **changes)
    holds: dict[Proposition, bool] = {name: name in (*true, "replaceable") for name in PROPOSITIONS}
    return adjudicate(case, shipped_rule_book().pack_for(case, ruled_on=ON), holds, agreed=agreed)


@pytest.mark.parametrize(
    ("claim", "true", "ruling"),
    [
        ("not_received", (), Ruling.REFUND),
        ("not_received", ("delivery",), Ruling.DISMISS),
        ("return_not_refunded", (), Ruling.DISMISS),
        ("return_not_refunded", ("return_received",), Ruling.REFUND),
        ("damaged", ("proper_sign_off",), Ruling.DISMISS),
        ("damaged", (), Ruling.RETURN_AND_REFUND),
        ("damaged", ("proper_sign_off", "condition_at_sign_off"), Ruling.RETURN_AND_REFUND),
        ("damaged", ("condition_at_sign_off", "worthless_to_return"), Ruling.REFUND),
        ("damaged", ("condition_at_sign_off", "part_only"), Ruling.PARTIAL_REFUND),
        ("damaged", ("receipt_confirmed",), Ruling.DISMISS),
        ("not_as_described", (), Ruling.DISMISS),
        ("not_as_described", ("prima_facie",), Ruling.RETURN_AND_REFUND),
        ("not_as_described", ("prima_facie", "explanation_or_rebuttal"), Ruling.DISMISS),
        ("quality_defect", (), Ruling.DISMISS),
        ("quality_defect", ("prima_facie",), Ruling.RETURN_AND_REFUND),
        ("quality_defect", ("prima_facie", "explanation_or_rebuttal"), Ruling.DISMISS),
        ("quality_defect", ("prima_facie", "explanation_or_rebuttal", "inspection_report"), Ruling.RETURN_AND_REFUND),
        ("quality_defect", ("hidden_quality",), Ruling.RETURN_AND_REFUND),
        ("quality_defect", ("hidden_quality", "provenance"), Ruling.DISMISS),
        ("counterfeit", (), Ruling.RETURN_AND_REFUND),
        ("counterfeit", ("provenance",), Ruling.DISMISS),
        ("counterfeit", ("provenance", "inspection_report"), Ruling.RETURN_AND_REFUND),
        ("change_of_mind", ("changed_mind", "no_reason_return_open"), Ruling.RETURN_AND_REFUND),
        ("change_of_mind", ("changed_mind",), Ruling.DISMISS),
    ],
)
def test_the_table_of_the_burden_of_proof(claim: str, true: tuple[Proposition, ...], ruling: Ruling) -> None:
    assert _order(claim, *true).ruling == ruling


def test_nobody_proves_and_no_sign_off_leaves_fault_undetermined_and_splits_the_freight() -> None:
    order = _order("damaged")
    assert (order.responsible, order.outbound_freight, order.return_freight) == (
        Responsible.UNDETERMINED,
        "seller",
        "buyer",
    )


def test_a_silent_seller_has_agreed_to_what_was_asked() -> None:
    order = _order("quality_defect", "seller_silent", requested="refund")
    assert (order.ruling, order.responsible) == (Ruling.REFUND, Responsible.SELLER)


def test_what_both_sides_agreed_binds_whatever_was_proved() -> None:
    order = _order("damaged", "proper_sign_off", agreed=Ruling.PARTIAL_REFUND)
    assert order.ruling == Ruling.PARTIAL_REFUND


def test_a_replacement_that_cannot_be_had_becomes_return_and_refund() -> None:
    case = build_case(requested="replace")
    holds: dict[Proposition, bool] = {name: name == "condition_at_sign_off" for name in PROPOSITIONS}
    order = adjudicate(case, shipped_rule_book().pack_for(case, ruled_on=ON), holds, agreed=None)
    assert order.ruling == Ruling.RETURN_AND_REFUND


def test_nothing_is_sent_back_where_that_is_worthless() -> None:
    undetermined = _order("damaged", "worthless_to_return")
    assert (undetermined.ruling, undetermined.responsible) == (Ruling.REFUND, Responsible.UNDETERMINED)
    assert undetermined.return_freight is None
    case = build_case(requested="replace")
    true = ("condition_at_sign_off", "worthless_to_return")
    holds: dict[Proposition, bool] = {name: name in true for name in PROPOSITIONS}
    gone = adjudicate(case, shipped_rule_book().pack_for(case, ruled_on=ON), holds, agreed=None)
    assert gone.ruling == Ruling.REFUND


def test_outstanding_evidence_is_asked_for_only_while_nothing_is_agreed() -> None:
    assert _order("damaged", "evidence_outstanding").ruling == Ruling.REQUEST_EVIDENCE
    assert _order("damaged", "evidence_outstanding", agreed=Ruling.REPLACE).ruling == Ruling.REPLACE


def test_an_agreed_return_settles_nothing_once_the_goods_are_said_to_be_back() -> None:
    agreed = Ruling.RETURN_AND_REFUND
    outstanding = _order("return_not_refunded", "evidence_outstanding", "return_received", agreed=agreed)
    assert outstanding.ruling == Ruling.REQUEST_EVIDENCE
    assert _order("return_not_refunded", "return_received", agreed=agreed).ruling == Ruling.REFUND
    assert _order("return_not_refunded", agreed=agreed).ruling == Ruling.DISMISS


def test_a_share_agreed_on_binds_also_once_the_goods_are_back() -> None:
    order = _order("return_not_refunded", "changed_mind", agreed=Ruling.PARTIAL_REFUND)
    assert (order.ruling, order.responsible, order.return_freight) == (
        Ruling.PARTIAL_REFUND,
        Responsible.BUYER,
        "buyer",
    )


def test_an_agreed_replacement_that_cannot_be_had_becomes_the_share_that_was_asked_for() -> None:
    nothing: dict[Proposition, bool] = dict.fromkeys(PROPOSITIONS, False)
    became = {}
    for requested in ("replace", "partial_refund"):
        case = build_case(claim="missing_item", requested=requested)
        pack = shipped_rule_book().pack_for(case, ruled_on=ON)
        became[requested] = adjudicate(case, pack, nothing, agreed=Ruling.REPLACE).ruling
    assert became == {"replace": Ruling.RETURN_AND_REFUND, "partial_refund": Ruling.PARTIAL_REFUND}


def test_having_used_a_counterfeit_takes_no_part_of_the_refund() -> None:
    used = {"goods_state": "used"}
    assert _order("counterfeit", "impaired", order=used).ruling == Ruling.RETURN_AND_REFUND
    admitted = ("prima_facie", "impaired", "seller_admits")
    assert _order("not_as_described", *admitted, order=used).ruling == Ruling.PARTIAL_REFUND


def test_the_carrier_may_be_responsible_but_the_seller_answers() -> None:
    order = _order("damaged", "condition_at_sign_off", "carrier_caused", "worthless_to_return")
    assert (order.responsible, order.outbound_freight) == (Responsible.CARRIER, "seller")


def test_a_mismatch_that_is_a_change_of_mind_is_judged_as_that() -> None:
    order = _order("not_as_described", "prima_facie", "changed_mind", "no_reason_return_open")
    assert (order.ruling, order.return_freight) == (Ruling.RETURN_AND_REFUND, "buyer")


def _findings(**stated: float) -> Findings:
    everything = {name: Finding(stated.get(name, 0.0), ("m1",)) for name in PROPOSITIONS}
    return Findings(everything, {remedy: Finding(0.0) for remedy in AGREED_REMEDIES})


def test_the_ledger_names_who_must_prove_what_and_stops_where_the_verdict_is_settled() -> None:
    case = build_case(claim="quality_defect")
    pack = shipped_rule_book().pack_for(case, ruled_on=ON)
    steps = ledger(case, pack, _findings(prima_facie=0.1))
    assert [(step.party, step.must_prove, step.status) for step in steps] == [
        ("buyer", "prima_facie", "unmet"),
        ("seller", "explanation_or_rebuttal", "not_reached"),
        ("buyer", "inspection_report", "not_reached"),
    ]


def test_a_step_whose_evidence_is_outstanding_stays_open() -> None:
    case = build_case(claim="damaged")
    pack = shipped_rule_book().pack_for(case, ruled_on=ON)
    steps = ledger(case, pack, _findings(evidence_outstanding=0.8, condition_at_sign_off=0.5, proper_sign_off=0.9))
    assert [step.status for step in steps] == ["met", "open"]
