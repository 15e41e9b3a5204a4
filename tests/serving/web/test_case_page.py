"""What the page of a case says about its evidence."""

from datetime import UTC, datetime

from models.domain import FactEvidence, ListingMatchEvidence, Remedy, StatementEvidence, Suggestion
from models.vocabulary import Party, Responsible, Ruling, StatementLabel
from serving.web.case_page import FactWords, anchor, marked, timeline
from serving.words import money, words
from tests.builders import build_case, happened, hours, signed


def _suggestion(*evidence: StatementEvidence) -> Suggestion:
    return Suggestion(
        suggestion_id="s",
        case_id="TB-1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        model_version="ruling/1",
        rule_pack="taobao@2025-08-15",
        calibrated_on="simulated",
        input_digest="sha256:0",
        ruling=Ruling.REFUND,
        confidence=0.8,
        probabilities=dict.fromkeys(Ruling, 1 / 6),
        prediction_set=(Ruling.REFUND,),
        alpha=0.1,
        abstained=False,
        responsible=Responsible.SELLER,
        remedy=Remedy(),
        evidence=evidence,
        ledger=(),
        missing_evidence=(),
    )


def _said(text: str, label: StatementLabel, ref: str = "m1", **more: object) -> dict[str, object]:
    return {"message_id": ref, "at": hours(50), "speaker": "buyer", "text": text, **more}


def _piece(*spans: tuple[int, int]) -> StatementEvidence:
    return StatementEvidence(
        ref="m1",
        label=StatementLabel.CLAIMS_DAMAGE,
        probability=0.9,
        effect=0.2,
        favours=Party.BUYER,
        spans=spans,
    )


def test_spans_are_marked_and_everything_else_is_text() -> None:
    text = "<script>碎了</script>"
    html = str(marked(_suggestion(_piece((8, 10))), words("zh"), "m1", text))
    assert html == '&lt;script&gt;<mark title="称破损">碎了</mark>&lt;/script&gt;'


def test_overlapping_or_foreign_spans_lose_no_text() -> None:
    html = str(marked(_suggestion(_piece((0, 3), (2, 4), (90, 99))), words("en"), "m1", "abcdef"))
    assert html.replace('<mark title="claims damage">', "").replace("</mark>", "") == "abcdef"


def test_a_message_that_moved_nothing_is_plain() -> None:
    assert str(marked(None, words("en"), "m1", "a & b")) == "a &amp; b"


def test_one_timeline_holds_logistics_and_procedure_in_order() -> None:
    case = build_case(logistics=[signed("locker", at=48)], timeline=[happened("refund_applied", "buyer", at=30)])
    assert [entry.ref for entry in timeline(case)] == ["timeline.0", "logistics.0"]


def test_every_reference_leads_to_its_place_on_the_page() -> None:
    photos = [{"photo_id": "p1", "role": "received", "filed_by": "buyer"}]
    case = build_case(chat=[_said("碎了", StatementLabel.CLAIMS_DAMAGE)], photos=photos)
    assert anchor(case, "m1") == "#m-m1"
    assert anchor(case, "buyer_statement") == "#m-buyer_statement"
    assert anchor(case, "p1") == "#p-p1"
    assert anchor(case, "p0|p1") == "#p-p1"
    assert anchor(case, "listing.fragile") == "#fact-listing"
    assert anchor(case, "timeline.3") == "#fact-timeline.3"


def test_facts_are_said_in_the_language_of_the_page() -> None:
    case = build_case(
        logistics=[signed("locker")],
        documents=[{"document_id": "d1", "kind": "video", "filed_by": "seller"}],
        chat=[_said("碎了", StatementLabel.CLAIMS_DAMAGE)],
    )

    def fact(ref: str, label: str = "x") -> FactEvidence:
        return FactEvidence(ref=ref, label=label, effect=0.1, favours=Party.BUYER)

    zh, en = FactWords(case, words("zh")), FactWords(case, words("en"))
    assert zh.words(fact("logistics.0")) == "签收 · 快递柜"
    assert en.words(fact("documents.d1")) == "Seller: video"
    assert zh.words(fact("order.goods_state", "goods_used")) == "货物已使用"
    assert en.words(_piece()) == "Buyer: claims damage (m1)"
    assert zh.words(fact("m1", "message")) == "买家: “碎了” (m1)"
    match = ListingMatchEvidence(ref=("p0", "p1"), label="match", probability=0.1, effect=0, favours=Party.SELLER)
    assert zh.words(match) == "与页面照片相符 (p0 / p1)"


def test_money_shows_its_currency() -> None:
    assert money(123456, "CNY") == "CNY 1,234.56"
    assert money(5900, "JPY") == "JPY 5,900"
