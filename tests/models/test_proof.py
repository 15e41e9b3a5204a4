"""What each side has proved: photos, papers and admissions count, loud words don't, a missed deadline costs."""

from typing import Any

import pytest

from models.cues import shipped_cues
from models.evidence import CaseEvidence, ListingMatch, ScoredPhoto
from models.proof import (
    buyer_fault,
    changed_mind,
    condition_at_sign_off,
    explanation_or_rebuttal,
    inspection_report,
    prima_facie,
    provenance,
    seller_admits,
)
from models.vocabulary import PhotoRole, StatementLabel
from tests.builders import build_case, build_evidence, happened, hours, said, signed

CUES = shipped_cues()
ADMITS_USE = StatementLabel.ADMITS_USE_OR_FAULT
ADMITS_FAULT = StatementLabel.ADMITS_FAULT


def paper(kind: str, filed_by: str, note: str = "") -> dict[str, Any]:
    return {"document_id": "d1", "kind": kind, "filed_by": filed_by, "note": note}


def photo(damaged: float | None = 0.9, role: PhotoRole = PhotoRole.RECEIVED, *, filed_by: str = "buyer") -> ScoredPhoto:
    return ScoredPhoto("p1", role, filed_by, damaged)


def shown(evidence: CaseEvidence) -> float:
    return prima_facie(evidence, CUES).probability


def at_sign_off(evidence: CaseEvidence) -> float:
    return condition_at_sign_off(evidence, CUES).probability


def rebutted(evidence: CaseEvidence) -> float:
    return explanation_or_rebuttal(evidence, CUES).probability


def case(**changes: Any) -> Any:
    return build_case(**changes)


def test_without_evidence_nobody_has_proved_anything() -> None:
    nothing = build_evidence(case(claim="quality_defect"))
    for finding in (
        seller_admits(nothing),
        buyer_fault(nothing, CUES),
        changed_mind(nothing, CUES),
        prima_facie(nothing, CUES),
        condition_at_sign_off(nothing, CUES),
        explanation_or_rebuttal(nothing, CUES),
        inspection_report(nothing),
        provenance(nothing, CUES),
    ):
        assert finding.probability == 0
        assert finding.supported_by == ()


def test_a_photo_that_shows_damage_proves_more_than_one_that_shows_none() -> None:
    assert shown(build_evidence(photos=(photo(0.95),))) > 0.7
    assert shown(build_evidence(photos=(photo(0.05),))) < 0.5


def test_a_photo_the_seller_filed_proves_nothing_for_the_buyer() -> None:
    assert shown(build_evidence(photos=(photo(filed_by="seller"),))) == 0


def test_other_goods_than_listed_speak_for_a_mismatch_and_the_same_goods_against_it() -> None:
    claimed = case(claim="not_as_described")

    def match(mismatch: float) -> CaseEvidence:
        return build_evidence(claimed, photos=(photo(None),), match=ListingMatch("p0", "p1", mismatch))

    plain = shown(build_evidence(claimed, photos=(photo(None),)))
    assert shown(match(0.05)) < plain < shown(match(0.95))
    assert shown(match(0.95).without("p0|p1")) == plain
    assert rebutted(match(0.05)) > rebutted(match(0.95))


@pytest.mark.parametrize("kind", ["inspection_report", "video", "other"])
def test_a_paper_of_the_buyer_shows_the_condition_and_can_be_left_out(kind: str) -> None:
    evidence = build_evidence(case(documents=[paper(kind, "buyer")]))
    assert shown(evidence) >= 0.5
    assert shown(evidence.without("documents.d1")) == 0
    assert shown(build_evidence(case(documents=[paper(kind, "seller")]))) == 0


def test_an_admission_of_the_seller_proves_the_claim_and_silences_the_rebuttal() -> None:
    denied = said("seller", {StatementLabel.DENIES_FAULT: 0.9}, place=0)
    admitted = said("seller", {ADMITS_FAULT: 0.95}, place=1)
    assert shown(build_evidence(None, denied, admitted)) > 0.8
    assert rebutted(build_evidence(None, denied, admitted)) < rebutted(build_evidence(None, denied))


def test_an_admission_in_the_sellers_own_account_counts_like_one_in_the_chat() -> None:
    account = build_evidence(None, said("seller", {ADMITS_FAULT: 0.9}, place=-1, ref="seller_statement"))
    assert seller_admits(account).probability == pytest.approx(0.9)
    assert seller_admits(account).supported_by == ("seller_statement",)


def test_rudeness_threats_and_pleas_prove_nothing() -> None:
    loud = build_evidence(
        None,
        said("buyer", {StatementLabel.ABUSIVE: 0.99, StatementLabel.CLAIMS_DAMAGE: 0.99}, place=0),
        said("seller", {StatementLabel.ABUSIVE: 0.99, StatementLabel.REFUSES: 0.99}, place=1),
    )
    assert shown(loud) < 0.05
    assert rebutted(loud) < 0.05
    assert at_sign_off(loud) < 0.05


def test_a_prompt_complaint_proves_the_condition_at_sign_off_and_a_late_one_less() -> None:
    def complained(at: float) -> float:
        timeline = [happened("refund_applied", "buyer", at=at)]
        logistics = [signed("buyer", at=48)]
        return at_sign_off(build_evidence(case(timeline=timeline, logistics=logistics), photos=(photo(),)))

    assert complained(50) > complained(90) > complained(48 + 24 * 20)


def test_goods_signed_for_as_intact_or_shaken_on_the_way_change_what_is_proved_of_their_condition() -> None:
    def known(note: str | None, *papers: dict[str, Any]) -> float:
        return at_sign_off(
            build_evidence(case(logistics=[signed("buyer", note=note)], documents=list(papers)), photos=(photo(),))
        )

    assert known("签收单勾选外观完好") < 0.5 * known(None)
    assert known("签收单注明破损") > known(None)
    smooth = paper("carrier_statement", "seller", "正常派送，本人签收")
    rough = paper("carrier_statement", "seller", "中转时包裹掉落，重新打包")
    assert known(None, smooth) < known(None) < known(None, rough)


def test_the_buyers_own_act_undoes_the_proof_of_condition() -> None:
    dropped = said("buyer", {ADMITS_USE: 0.95}, place=0)
    plain = at_sign_off(build_evidence(photos=(photo(),)))
    assert at_sign_off(build_evidence(None, dropped, photos=(photo(),))) < 0.5 * plain


def test_use_explains_damage_but_changes_no_label() -> None:
    dropped = said("buyer", {ADMITS_USE: 0.95}, place=0)
    broke = buyer_fault(build_evidence(case(claim="damaged"), dropped), CUES).probability
    relabelled = buyer_fault(build_evidence(case(claim="counterfeit"), dropped), CUES).probability
    assert broke > 0.6
    assert relabelled < 0.3


def test_use_is_no_defect_but_a_confessed_mishap_is() -> None:
    def fault(text: str) -> float:
        chat = [{"message_id": "m1", "at": hours(60), "speaker": "buyer", "text": text}]
        admitted = said("buyer", {ADMITS_USE: 0.95}, place=0)
        return buyer_fault(build_evidence(case(claim="quality_defect", chat=chat), admitted), CUES).probability

    assert fault("用了三周") < 0.6
    assert fault("底座在水龙头下冲过") > 0.7


def test_what_was_done_with_goods_complained_of_at_once_did_not_cause_the_complaint() -> None:
    def fault(text: str, *, complained_at: float) -> float:
        chat = [
            {"message_id": "m1", "at": hours(complained_at), "speaker": "buyer", "text": "碎了"},
            {"message_id": "m2", "at": hours(complained_at + 1), "speaker": "buyer", "text": text},
        ]
        claimed = said("buyer", {StatementLabel.CLAIMS_DAMAGE: 0.95}, place=0)
        admitted = said("buyer", {ADMITS_USE: 0.95}, place=1)
        file = case(claim="damaged", chat=chat, logistics=[signed("buyer", at=48)])
        return buyer_fault(build_evidence(file, claimed, admitted), CUES).probability

    assert fault("好的几个已经吃了", complained_at=50) < 0.3
    assert fault("好的几个已经吃了", complained_at=200) > 0.6
    assert fault("是我自己不小心摔的", complained_at=50) > 0.6


def test_damage_noted_at_hand_over_stands_whatever_was_done_later() -> None:
    used = said("buyer", {ADMITS_USE: 0.95}, place=0)
    noted = [signed("buyer", note='"boxes damaged" written on the handheld')]
    plain = at_sign_off(build_evidence(case(logistics=[signed("buyer")]), used, photos=(photo(),)))
    assert at_sign_off(build_evidence(case(logistics=noted), used, photos=(photo(),))) > max(0.5, plain)


def test_what_the_page_says_is_not_included_is_not_missing() -> None:
    file = {"claim": "missing_item", "logistics": [signed("buyer")]}
    sold_alone = case(**file, listing={"title": "cast iron skillet, lid sold separately"})
    assert at_sign_off(build_evidence(sold_alone, photos=(photo(),))) < 0.6 * at_sign_off(
        build_evidence(case(**file, listing={"title": "cast iron skillet with lid"}), photos=(photo(),))
    )


@pytest.mark.parametrize(
    ("text", "quotes"), [("标题写了迷你11cm哦", True), ("标题写了巨无霸25cm哦", False), ("您自己没看清楚", False)]
)
def test_a_seller_who_quotes_what_stands_on_the_page_rebuts_a_mismatch(text: str, quotes: bool) -> None:
    chat = [{"message_id": "m1", "at": hours(60), "speaker": "seller", "text": text}]
    file = case(claim="not_as_described", chat=chat, listing={"title": "迷你积木 成品高11cm"})
    assert (rebutted(build_evidence(file)) > 0.2) is quotes


def test_the_sellers_accusation_alone_is_hardly_a_fault_of_the_buyer() -> None:
    blamed = said("seller", {StatementLabel.BLAMES_BUYER: 0.99}, place=0)
    assert buyer_fault(build_evidence(None, blamed), CUES).probability <= 0.11


@pytest.mark.parametrize("kind", ["inspection_report", "video", "invoice", "provenance"])
def test_a_paper_of_the_seller_rebuts(kind: str) -> None:
    papers = case(claim="quality_defect", documents=[paper(kind, "seller")])
    assert rebutted(build_evidence(papers)) >= 0.5
    others = case(claim="quality_defect", documents=[paper(kind, "buyer")])
    assert rebutted(build_evidence(others)) == 0


def test_a_missed_evidence_deadline_fails_the_step() -> None:
    def timeline(party: str) -> list[dict[str, Any]]:
        return [happened("evidence_requested", "platform", at=60), happened("deadline_missed", party, at=90)]

    report = [paper("inspection_report", "buyer")]
    missed = build_evidence(case(documents=report, timeline=timeline("buyer")))
    assert inspection_report(missed).probability < inspection_report(build_evidence(case(documents=report))).probability
    invoice = [paper("invoice", "seller")]
    assert provenance(build_evidence(case(documents=invoice, timeline=timeline("seller"))), CUES).probability < 0.2
    assert rebutted(build_evidence(case(documents=invoice, timeline=timeline("seller")))) < 0.2


def test_an_invoice_proves_provenance_and_a_handwritten_receipt_hardly() -> None:
    strong = provenance(build_evidence(case(documents=[paper("invoice", "seller", "盖章发票")])), CUES)
    weak = provenance(build_evidence(case(documents=[paper("invoice", "seller", "手写收据")])), CUES)
    assert strong.probability > 0.7
    assert weak.probability < 0.2
    assert provenance(build_evidence(case(documents=[paper("invoice", "buyer")])), CUES).probability == 0


def test_only_the_buyer_files_an_inspection_report_for_themselves() -> None:
    assert inspection_report(build_evidence(case(documents=[paper("inspection_report", "seller")]))).probability == 0


def test_a_change_of_mind_is_taken_from_the_claim_or_the_buyers_words() -> None:
    assert changed_mind(build_evidence(case(claim="change_of_mind")), CUES).probability == 1
    words = said("buyer", {StatementLabel.CHANGED_MIND: 0.9}, place=0)
    assert changed_mind(build_evidence(case(claim="not_as_described"), words), CUES).probability > 0.5


def test_a_return_applied_for_without_a_reason_was_a_change_of_mind() -> None:
    def mind(note: str, claim: str) -> float:
        applied = [happened("refund_applied", "buyer", note=note)]
        return changed_mind(build_evidence(case(claim=claim, timeline=applied)), CUES).probability

    assert mind("七天无理由", "return_not_refunded") > 0.5
    assert mind("开胶了", "return_not_refunded") == 0
    assert mind("七天无理由", "quality_defect") == 0


def test_who_names_the_wrong_size_answers_for_goods_made_to_it() -> None:
    def fault(title: str) -> float:
        chat = [{"message_id": "m1", "at": hours(60), "speaker": "buyer", "text": "我老公量错了"}]
        words = said("buyer", {StatementLabel.ADMITS_USE_OR_FAULT: 0.9}, place=0)
        filed = case(claim="not_as_described", chat=chat, listing={"title": title})
        return buyer_fault(build_evidence(filed, words), CUES).probability

    assert fault("榻榻米垫 定做") > 0.6 > 0.3 > fault("榻榻米垫 现货")


@pytest.mark.parametrize(
    ("title", "description", "platform", "contradicted"),
    [
        ("锂电池 60V32Ah", "标称电压60V，容量20Ah", "jd", True),
        ("锂电池 60V20Ah", "标称电压60V，容量20Ah", "jd", False),
        ("锂电池 60V32Ah", "标称电压60V，容量20Ah", "taobao", False),
    ],
)
def test_a_page_that_contradicts_itself_is_read_for_the_buyer_by_the_rules_of_jd(
    title: str, description: str, platform: str, contradicted: bool
) -> None:
    listing = {"title": title, "description": description}
    filed = case(claim="not_as_described", platform=platform, listing=listing)
    finding = explanation_or_rebuttal(build_evidence(filed), CUES)
    assert ("listing.contradictory" in finding.opposed_by) is contradicted


def test_a_mismatch_that_the_buyer_ordered_by_mistake_is_a_change_of_mind() -> None:
    def mind(text: str, claim: str = "not_as_described") -> float:
        chat = [{"message_id": "m1", "at": hours(60), "speaker": "buyer", "text": text}]
        words = said("buyer", {StatementLabel.ADMITS_USE_OR_FAULT: 0.9}, place=0)
        return changed_mind(build_evidence(case(claim=claim, chat=chat), words), CUES).probability

    assert mind("年款是我报错了") > 0.5
    assert mind("我装上用了两天") < 0.1
    assert mind("年款是我报错了", claim="damaged") < 0.1
