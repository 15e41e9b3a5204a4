"""What the goods are and what the page owes, and that each such fact can be left out."""

from typing import Any

import pytest

from models.cues import shipped_cues
from models.evidence import CaseEvidence, Finding
from models.goods import (
    hidden_quality,
    impaired,
    keeps_goods,
    no_reason_return_open,
    part_only,
    promise,
    replaceable,
    worthless_to_return,
)
from models.vocabulary import StatementLabel
from tests.builders import build_case, build_evidence, happened, hours, said, signed

CUES = shipped_cues()


def bought(title: str = "马克杯", *, description: str = "", **changes: Any) -> CaseEvidence:
    return build_evidence(build_case(listing={"title": title, "description": description}, **changes))


def spoken(speaker: str, text: str) -> list[dict[str, Any]]:
    return [{"message_id": "m1", "at": hours(60), "speaker": speaker, "text": text}]


def no_reason(evidence: CaseEvidence, *, days: int = 7) -> float:
    return no_reason_return_open(evidence, CUES, days=days).probability


@pytest.mark.parametrize("title", ["Steam 激活码 秒发", "2 x festival day tickets, PDF"])
def test_what_has_no_body_is_neither_sent_back_nor_returned_without_a_reason(title: str) -> None:
    assert worthless_to_return(bought(title), CUES).probability > 0.7
    assert no_reason(bought(title, claim="change_of_mind")) < no_reason(bought(claim="change_of_mind"))


def test_the_page_is_read_whole() -> None:
    listing = {"title": "杯", "description": "白", "category": "tea_ware", "attributes": {"color": "red"}}
    text = build_case(listing=listing).listing.text
    assert all(word in text for word in ("杯", "白", "tea ware", "color red"))


def test_a_promise_on_the_page_is_found_cited_and_can_be_left_out() -> None:
    evidence = bought(description="破损包赔")
    found = promise(evidence, CUES, "promise_of_breakage_cover")
    assert found.probability == pytest.approx(0.9)
    assert found.supported_by == ("listing.promise_of_breakage_cover",)
    without = evidence.without("listing.promise_of_breakage_cover")
    assert promise(without, CUES, "promise_of_breakage_cover").probability < 0.1


def test_only_counted_pieces_of_a_lot_make_it_a_part() -> None:
    broken = spoken("buyer", "有3个碎了")
    one = part_only(bought("玻璃杯 6只装", chat=broken), CUES).probability
    assert one > 0.5
    assert part_only(bought("玻璃杯 6只装"), CUES).probability < 0.2
    assert part_only(bought("台灯", chat=broken), CUES).probability < 0.1
    assert part_only(bought("台灯", chat=broken, order={"quantity": 6}), CUES).probability > 0.5


@pytest.mark.parametrize(
    ("evidence", "ref"),
    [
        (bought("草莓 3斤"), "listing.perishable"),
        (bought("玻璃花瓶"), "listing.fragile"),
        (bought("毛巾", order={"paid_minor": 900}), "order.paid_minor"),
        (bought("手机壳 定制"), "listing.made_to_measure"),
        (bought("充电宝", chat=spoken("buyer", "电池鼓包，快递不收")), "m1"),
    ],
)
def test_what_makes_sending_back_worthless_is_cited_and_can_be_left_out(evidence: CaseEvidence, ref: str) -> None:
    found = worthless_to_return(evidence, CUES)
    assert ref in found.supported_by
    assert worthless_to_return(evidence.without(ref), CUES).probability < found.probability


def test_a_plain_thing_is_worth_sending_back_and_fragility_matters_only_where_it_broke() -> None:
    assert worthless_to_return(bought("帆布包"), CUES).probability == 0
    assert worthless_to_return(bought("玻璃花瓶", claim="not_as_described"), CUES).probability == 0


def test_a_buyer_who_asks_to_send_back_thinks_it_worth_while() -> None:
    asked = worthless_to_return(bought("玻璃花瓶", requested="return_and_refund"), CUES).probability
    assert asked < worthless_to_return(bought("玻璃花瓶"), CUES).probability


def test_what_is_sold_out_or_second_hand_is_hardly_replaced() -> None:
    assert replaceable(bought(), CUES).probability > 0.8
    assert replaceable(bought(seller_statement="已经停产，没货了"), CUES).probability < 0.5
    assert replaceable(bought(platform="xianyu"), CUES).probability < 0.5
    chat = [{"message_id": "m1", "at": hours(60), "speaker": "buyer", "text": "你们直播间还在卖呢"}]
    assert replaceable(bought(seller_statement="缺货", chat=chat), CUES).probability > 0.5


def test_only_used_goods_are_impaired_and_consumed_ones_most() -> None:
    used = {"goods_state": "used"}
    assert impaired(bought(), CUES).probability < 0.1
    plain = impaired(bought("台灯", claim="not_as_described", order=used), CUES).probability
    eaten = impaired(bought("零食", claim="not_as_described", order=used), CUES).probability
    assert 0.1 < plain < eaten


def test_goods_used_but_said_to_be_unimpaired_count_as_intact() -> None:
    used = {"goods_state": "used"}
    plain = impaired(bought("手表", claim="not_as_described", order=used), CUES).probability
    tried = bought("手表", claim="not_as_described", order=used, chat=spoken("buyer", "只试戴过，膜都没撕"))
    assert impaired(tried, CUES).probability <= 0.5 * plain


@pytest.mark.parametrize("title", ["茶壶 紫砂", "焖烧杯 食品级内胆", "electric coffee grinder", "tea cup"])
def test_a_vessel_or_a_machine_is_no_consumable(title: str) -> None:
    used = {"goods_state": "used"}
    plain = impaired(bought("台灯", claim="not_as_described", order=used), CUES).probability
    assert impaired(bought(title, claim="not_as_described", order=used), CUES).probability == plain


def test_what_is_dangerous_to_send_stays_so_though_the_buyer_asks_to_return_it() -> None:
    asked = bought("充电宝", requested="return_and_refund", chat=spoken("buyer", "电池鼓包，快递不收"))
    assert worthless_to_return(asked, CUES).probability == pytest.approx(0.7)


def test_a_defect_found_in_use_is_no_impairment_by_use() -> None:
    used = {"goods_state": "used"}
    defect = impaired(bought("台灯", claim="quality_defect", order=used), CUES).probability
    assert defect < impaired(bought("台灯", claim="not_as_described", order=used), CUES).probability


def test_who_asks_for_part_of_the_money_keeps_the_goods() -> None:
    assert keeps_goods(bought(requested="partial_refund"), CUES).probability > 0.8
    assert keeps_goods(bought(chat=spoken("buyer", "我留着用吧")), CUES).probability > 0.3
    assert keeps_goods(bought(), CUES).probability == 0


def test_a_return_without_reason_is_open_in_time_and_closes_with_the_days_of_the_pack() -> None:
    page: dict[str, Any] = {
        "description": "支持七天无理由退换",
        "claim": "change_of_mind",
        "logistics": [signed("buyer", at=0)],
    }
    in_time = bought(timeline=[happened("refund_applied", "buyer", at=6 * 24)], **page)
    late = bought(timeline=[happened("refund_applied", "buyer", at=9 * 24)], **page)
    longer = {**page, "description": "30-day returns for any reason, unopened"}
    late_by_page = bought(timeline=[happened("refund_applied", "buyer", at=9 * 24)], **longer)
    assert no_reason(in_time) > 0.8
    assert no_reason(late) < 0.3
    assert no_reason(late, days=15) > 0.8
    assert no_reason(late_by_page) > 0.8


@pytest.mark.parametrize(
    "changes",
    [{"description": "支持七天无理由，定制商品"}, {"order": {"goods_state": "used"}, "description": "支持七天无理由"}],
)
def test_made_to_measure_and_used_goods_have_no_return_without_reason(changes: dict[str, Any]) -> None:
    assert no_reason(bought(claim="change_of_mind", **changes)) < 0.5


def test_a_buyer_who_says_it_was_used_closes_the_return_and_one_who_ordered_wrongly_does_not() -> None:
    returns = {}
    for text in ("用了两天 不喜欢", "我自己尺寸看错了"):
        case = bought(description="支持七天无理由", claim="change_of_mind", chat=spoken("buyer", text)).case
        admitted = said("buyer", {StatementLabel.ADMITS_USE_OR_FAULT: 0.95}, place=0)
        returns[text] = no_reason(build_evidence(case, admitted)) / no_reason(build_evidence(case))
    assert returns["用了两天 不喜欢"] < 0.7
    assert returns["我自己尺寸看错了"] > 0.9


def test_pieces_that_are_all_bad_are_no_part_of_the_lot() -> None:
    def part(text: str) -> float:
        return part_only(bought("陶瓷盘 2只装", chat=spoken("buyer", text)), CUES).probability

    assert part("一个碎了") > 0.5
    assert part("一个碎了 另一个也裂了") < 0.5


def hidden(evidence: CaseEvidence) -> Finding:
    return hidden_quality(evidence, CUES)


def test_what_it_is_made_of_cannot_be_seen() -> None:
    asked = [happened("evidence_requested", "platform", note="请卖家提供检测报告")]
    plain = hidden(bought("台灯", claim="quality_defect"))
    silk = hidden(bought("桑蚕丝围巾", claim="quality_defect"))
    both = hidden(bought("桑蚕丝围巾", claim="quality_defect", timeline=asked))
    assert plain.probability < silk.probability < both.probability
    assert both.supported_by == ("listing.hidden_quality", "timeline.0")


def test_hidden_quality_is_asked_only_of_quality_claims() -> None:
    assert hidden(bought("桑蚕丝围巾", claim="damaged")).probability == 0
