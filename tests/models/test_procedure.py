"""The procedure as far as it decides: silence agrees, missed deadlines fail a step, agreements bind."""

from typing import Any

import pytest

from models.cues import shipped_cues
from models.evidence import Finding
from models.procedure import agreements, evidence_default, outstanding_evidence, seller_silence
from models.vocabulary import Ruling, Speaker, StatementLabel
from tests.builders import build_case, build_evidence, happened, hours, said

OFFERS_PARTIAL = StatementLabel.OFFERS_PARTIAL
OFFERS_RETURN = StatementLabel.OFFERS_RETURN
ACCEPTS = StatementLabel.ACCEPTS_OFFER
CUES = shipped_cues()


def silence(*events: dict[str, Any]) -> float:
    return seller_silence(build_evidence(build_case(timeline=list(events)))).probability


def outstanding(**changes: Any) -> float:
    return outstanding_evidence(build_evidence(build_case(**changes)), CUES).probability


def agreed(*statements: Any, **changes: Any) -> dict[Ruling, Finding]:
    return agreements(build_evidence(build_case(**changes), *statements), CUES)


def message(place: int, speaker: str, text: str) -> dict[str, Any]:
    return {"message_id": f"m{place + 1}", "at": hours(50 + place), "speaker": speaker, "text": text}


def test_a_seller_who_lets_the_clock_run_out_has_agreed() -> None:
    assert silence(happened("refund_applied", "buyer"), happened("deadline_missed", "seller")) > 0.9


def test_a_missed_deadline_of_the_buyer_or_for_evidence_is_no_silence_of_the_seller() -> None:
    assert silence(happened("deadline_missed", "buyer")) == 0
    assert silence(happened("evidence_requested", "platform"), happened("deadline_missed", "seller")) == 0


def test_a_seller_who_answered_was_not_silent() -> None:
    applied, missed = happened("refund_applied", "buyer", at=50), happened("deadline_missed", "seller", at=90)
    assert silence(applied, happened("refused", "seller", at=60), missed) < 0.5


def test_who_lets_the_evidence_deadline_pass_has_failed_and_the_other_side_has_not() -> None:
    timeline = [happened("evidence_requested", "platform"), happened("deadline_missed", "buyer")]
    evidence = build_evidence(build_case(timeline=timeline))
    assert evidence_default(evidence, by=Speaker.BUYER).probability > 0.9
    assert evidence_default(evidence, by=Speaker.SELLER).probability == 0
    assert evidence_default(evidence.without("timeline.1"), by=Speaker.BUYER).probability == 0


def test_a_deadline_missed_before_evidence_was_asked_for_is_no_default() -> None:
    timeline = [happened("deadline_missed", "buyer"), happened("evidence_requested", "platform")]
    assert evidence_default(build_evidence(build_case(timeline=timeline)), by=Speaker.BUYER).probability == 0


def test_evidence_asked_for_and_not_yet_filed_is_outstanding() -> None:
    asked = happened("evidence_requested", "platform", at=60)
    assert outstanding(timeline=[asked]) > 0.5
    assert outstanding(timeline=[asked, happened("evidence_filed", "buyer", at=70)]) < 0.5


def test_a_report_still_to_come_leaves_the_evidence_outstanding() -> None:
    asked = happened("evidence_requested", "platform", at=60)
    sent = happened("evidence_filed", "buyer", at=70, note="检测机构收样回执，预计06-03出具报告")
    assert outstanding(timeline=[asked, sent]) > 0.8
    assert outstanding(timeline=[asked, happened("evidence_filed", "seller", at=65), sent]) > 0.8


def test_nothing_is_outstanding_once_a_deadline_has_passed() -> None:
    timeline = [happened("evidence_requested", "platform", at=60), happened("deadline_missed", "buyer", at=90)]
    assert outstanding(timeline=timeline, chat=[message(0, "buyer", "我有视频")]) < 0.1


def test_named_evidence_nobody_asked_for_is_likelier_outstanding_when_both_sides_name_some() -> None:
    one = outstanding(chat=[message(0, "buyer", "我有开箱视频")])
    both = outstanding(chat=[message(0, "buyer", "我有开箱视频"), message(1, "seller", "我们有监控")])
    assert 0 < one < both
    assert outstanding(chat=[message(0, "buyer", "碎了")]) == 0


def test_a_video_already_filed_is_not_outstanding() -> None:
    video = [{"document_id": "d1", "kind": "video", "filed_by": "buyer"}]
    assert outstanding(chat=[message(0, "buyer", "我有开箱视频")], documents=video) == 0


def test_proof_the_other_side_has_seen_or_that_came_with_the_message_is_not_outstanding() -> None:
    with_clip = {**message(0, "buyer", "视频在这"), "photo_ids": ["p1"]}
    photos = [{"photo_id": "p1", "role": "received", "filed_by": "buyer"}]
    assert outstanding(chat=[with_clip, message(1, "seller", "录像看到了")], photos=photos) == 0


def test_an_offer_taken_is_an_agreement_and_cites_the_acceptance() -> None:
    found = agreed(said("seller", {OFFERS_PARTIAL: 0.9}, place=0), said("buyer", {ACCEPTS: 0.8}, place=1))
    assert found[Ruling.PARTIAL_REFUND].probability == pytest.approx(0.72)
    assert found[Ruling.PARTIAL_REFUND].supported_by == ("m2",)
    assert found[Ruling.REFUND].probability < 0.05


def test_an_acceptance_before_any_offer_and_an_offer_never_taken_agree_on_nothing() -> None:
    early = agreed(said("buyer", {ACCEPTS: 0.9}, place=0), said("seller", {OFFERS_PARTIAL: 0.9}, place=1))
    silent = agreed(said("seller", {OFFERS_PARTIAL: 0.9}, place=0), said("buyer", place=1))
    for found in (early, silent):
        assert all(finding.probability < 0.1 for finding in found.values())


def test_the_offer_accepted_is_the_latest_one() -> None:
    found = agreed(
        said("seller", {OFFERS_PARTIAL: 0.9}, place=0),
        said("seller", {OFFERS_RETURN: 0.9}, place=1),
        said("buyer", {ACCEPTS: 0.9}, place=2),
    )
    assert found[Ruling.RETURN_AND_REFUND].probability > 2 * found[Ruling.PARTIAL_REFUND].probability


@pytest.mark.parametrize(
    ("answer", "offered", "taken"),
    [
        ("行 就这样", OFFERS_PARTIAL, True),
        ("不行 我要换", OFFERS_PARTIAL, False),
        ("那你补发一个啊", OFFERS_PARTIAL, False),
        ("运费我出 退货就行", OFFERS_PARTIAL, False),
        ("退货可以", OFFERS_RETURN, True),
        ("No thanks.", OFFERS_PARTIAL, False),
        ("ok, that works", OFFERS_PARTIAL, True),
    ],
)
def test_an_answer_that_says_no_or_names_another_remedy_hardly_takes_the_offer(
    answer: str, offered: StatementLabel, taken: bool
) -> None:
    chat = [message(0, "seller", "…"), message(1, "buyer", answer)]
    found = agreed(said("seller", {offered: 0.95}, place=0), said("buyer", {ACCEPTS: 0.95}, place=1), chat=chat)
    assert (max(finding.probability for finding in found.values()) > 0.5) is taken


def test_a_later_change_of_mind_does_not_undo_an_agreement() -> None:
    pair = (said("seller", {OFFERS_PARTIAL: 0.9}, place=0), said("buyer", {ACCEPTS: 0.9}, place=1))
    regret = said("buyer", {StatementLabel.CHANGED_MIND: 0.9, StatementLabel.ABUSIVE: 0.9}, place=2)
    refusal = said("seller", {StatementLabel.REFUSES: 0.9}, place=3)
    assert agreed(*pair, regret, refusal) == agreed(*pair)


def test_what_a_sides_own_account_offers_or_takes_is_no_agreement() -> None:
    found = agreed(
        said("seller", {OFFERS_PARTIAL: 0.9}, place=-1, ref="seller_statement"),
        said("buyer", {ACCEPTS: 0.9}, place=-1, ref="buyer_statement"),
        said("buyer", {ACCEPTS: 0.9}, place=0),
    )
    assert all(finding.probability == 0 for finding in found.values())


@pytest.mark.parametrize(
    ("note", "remedy"),
    [
        (None, Ruling.RETURN_AND_REFUND),
        ("同意换货", Ruling.REPLACE),
        ("同意，仅退款不用退货", Ruling.REFUND),
        ("agreed, will send a replacement", Ruling.REPLACE),
    ],
)
def test_a_request_the_seller_agreed_to_is_granted_as_agreed(note: str | None, remedy: Ruling) -> None:
    found = agreed(timeline=[happened("agreed", "seller", note=note)], requested="return_and_refund")
    assert max(found, key=lambda ruling: found[ruling].probability) == remedy
    assert found[remedy].probability > 0.5


def test_a_buyer_who_agrees_takes_the_offer_and_not_the_own_request() -> None:
    timeline = [happened("offer", "seller", at=60, note="退8元"), happened("agreed", "buyer", at=61)]
    found = agreed(timeline=timeline, requested="refund")
    assert found[Ruling.PARTIAL_REFUND].probability == pytest.approx(0.75)
    assert found[Ruling.REFUND].probability == 0.0
    assert agreed(timeline=timeline[1:], requested="refund")[Ruling.REFUND].probability == 0.0


def test_an_agreed_return_of_goods_no_carrier_takes_becomes_a_refund() -> None:
    timeline = [happened("agreed", "seller")]
    chat = [message(0, "buyer", "电池鼓包，快递不收")]
    safe = agreed(timeline=timeline, requested="return_and_refund")
    dangerous = agreed(timeline=timeline, requested="return_and_refund", chat=chat)
    assert safe[Ruling.REFUND].probability == 0
    assert dangerous[Ruling.REFUND].probability > dangerous[Ruling.RETURN_AND_REFUND].probability
    assert "m1" in dangerous[Ruling.REFUND].supported_by
    sums = [sum(finding.probability for finding in found.values()) for found in (safe, dangerous)]
    assert sums[0] == pytest.approx(sums[1])


def test_agreements_never_add_up_to_more_than_certainty() -> None:
    statements = [
        said("seller", {label: 0.99}, place=place)
        for place, label in enumerate([OFFERS_PARTIAL, OFFERS_RETURN, StatementLabel.OFFERS_REFUND])
    ]
    found = agreed(
        *statements,
        said("buyer", {ACCEPTS: 0.99}, place=3),
        timeline=[happened("agreed", "seller")],
        requested="replace",
    )
    assert sum(finding.probability for finding in found.values()) <= 1 + 1e-9
