"""Who signed, and whether the buyer chose them; whose doing the damage was; whether the goods came back."""

from typing import Any

import pytest

from models.cues import shipped_cues
from models.delivery import (
    arrival,
    carrier_caused,
    damage_noted,
    delivery,
    kept_its_weight,
    promptness,
    return_received,
    sign_off,
)
from models.evidence import CaseEvidence, ScoredPhoto
from models.vocabulary import PhotoRole, StatementLabel
from tests.builders import build_case, build_evidence, happened, hours, said, signed

CUES = shipped_cues()


def travelled(*legs: dict[str, Any], **changes: Any) -> CaseEvidence:
    return build_evidence(build_case(logistics=list(legs), **changes))


def leg(event: str, *, at: float = 10, by: str | None = None, note: str | None = None) -> dict[str, Any]:
    return {"at": hours(at), "event": event, "by": by, "note": note}


def statement_of_the_carrier(filed_by: str, note: str = "") -> dict[str, Any]:
    return {"document_id": "d1", "kind": "carrier_statement", "filed_by": filed_by, "note": note}


def signed_off(by: str | None, note: str | None = None, **changes: Any) -> float:
    return sign_off(travelled(signed(by, note=note), **changes), CUES).probability


def test_the_buyers_own_signature_is_proper_and_a_lockers_is_not() -> None:
    assert signed_off("buyer") > 0.9
    for by in ("locker", "station", "neighbour", "unknown"):
        assert signed_off(by) < 0.5


def test_a_family_member_stands_between_the_two() -> None:
    assert signed_off("locker") < signed_off("family") < signed_off("buyer")


def test_goods_that_never_arrived_were_not_signed_for() -> None:
    assert sign_off(travelled(leg("shipped")), CUES).probability < 0.1
    assert delivery(travelled(leg("shipped")), CUES).probability < 0.1


@pytest.mark.parametrize("note", ["收件人同意放丰巢", "left at locker per recipient instruction"])
def test_consent_in_the_record_makes_a_handing_over_proper(note: str) -> None:
    assert signed_off("locker", note) > 0.5


def test_a_forwarder_named_as_the_address_is_the_buyers_choice() -> None:
    assert signed_off("station", "深圳集运仓A区，收货码HK88231") > 0.5
    assert signed_off("station", "菜鸟驿站") < 0.5


def test_what_was_used_had_been_delivered() -> None:
    def delivered(note: str | None, admitted: float = 0.0) -> float:
        used = said("buyer", {StatementLabel.ADMITS_USE_OR_FAULT: admitted}, place=0)
        case = build_case(claim="not_received", logistics=[leg("delivered", by="unknown", note=note)])
        return delivery(build_evidence(case, used), CUES).probability

    assert delivered("自动发货") < 0.5
    assert delivered("自动发货，卡密已查看") > 0.6
    assert delivered("自动发货", admitted=0.95) > 0.6


def test_a_parcel_that_the_carrier_took_elsewhere_was_not_delivered() -> None:
    astray = statement_of_the_carrier("seller", "因同名小区误投，件已无法找回，系统自动带出“本人签收”")
    signed_for = travelled(signed("buyer"), claim="not_received")
    with_statement = travelled(signed("buyer"), claim="not_received", documents=[astray])
    assert delivery(with_statement, CUES).probability < 0.5 < delivery(signed_for, CUES).probability


def test_a_parcel_that_kept_its_weight_had_everything_in_it() -> None:
    def kept(first: str, last: str) -> list[str]:
        return kept_its_weight(travelled(leg("shipped", note=first), leg("in_transit", note=last)))

    assert kept("揽收称重1.08kg", "网点复称1080克 外观完好") == ["logistics.1"]
    assert kept("FedEx, 13.2 lb", "13.2 lb") == ["logistics.1"]
    assert kept("揽收称重1.08kg", "网点复称0.93kg") == []
    assert kept("揽收称重1.08kg", "派送中") == []


def test_a_return_much_lighter_than_what_was_sent_holds_something_else() -> None:
    def back(weight: str) -> float:
        legs = (leg("shipped", note="计费重量2.4kg"), leg("return_shipped", note=weight), leg("return_signed"))
        return return_received(travelled(*legs, claim="return_not_refunded"), CUES).probability

    assert back("揽收重量1.1kg") < 0.4 < 0.8 < back("揽收重量2.3kg")


def test_a_label_alone_is_not_the_carriers_doing() -> None:
    def caused(note: str | None) -> float:
        return carrier_caused(travelled(leg("shipped", note=note), claim="not_received"), CUES).probability

    assert caused("in transit to hub") > 0.5 > caused("label created, awaiting item")


def test_what_goes_back_without_a_reason_must_be_unused() -> None:
    def back(text: str = "穿去婚礼坐了两个钟头", **labels: float) -> float:
        spoken = said("buyer", {StatementLabel(label): p for label, p in labels.items()}, place=0)
        chat = [{"message_id": "m1", "at": hours(20), "speaker": "buyer", "text": text}]
        case = build_case(claim="return_not_refunded", logistics=[leg("return_signed", by="unknown")], chat=chat)
        return return_received(build_evidence(case, spoken), CUES).probability

    assert back(admits_use_or_fault=0.95) > 0.8
    assert back(admits_use_or_fault=0.95, changed_mind=0.95) < 0.4
    assert back("Tried on carpet only, as new", admits_use_or_fault=0.95, changed_mind=0.95) > 0.7


def test_consent_of_the_buyer_in_the_chat_counts_and_the_sellers_word_does_not() -> None:
    def chat(speaker: str) -> list[dict[str, Any]]:
        return [{"message_id": "m1", "at": hours(20), "speaker": speaker, "text": "放驿站就行"}]

    assert signed_off("station", chat=chat("buyer")) > 0.5
    assert signed_off("station", chat=chat("seller")) == signed_off("station")


def test_a_note_that_nobody_agreed_speaks_against_sign_off() -> None:
    assert signed_off("locker", "未经收件人同意放柜") <= signed_off("locker")
    assert signed_off(None, "left on the porch") < signed_off(None)


def test_of_two_arrivals_the_better_signed_one_counts() -> None:
    evidence = travelled(leg("delivered", at=20, by="station"), signed("buyer", at=40))
    found = arrival(evidence)
    assert found is not None
    assert found[0] == "logistics.1"
    left = arrival(evidence.without("logistics.1"))
    assert left is not None
    assert left[0] == "logistics.0"


def test_delivery_is_doubtful_where_the_carrier_itself_reports_trouble() -> None:
    plain = delivery(travelled(signed("buyer")), CUES).probability
    lost = delivery(travelled(leg("exception", note="包裹疑似丢失"), signed("buyer")), CUES).probability
    denied = delivery(travelled(signed("buyer"), documents=[statement_of_the_carrier("buyer")]), CUES).probability
    assert lost < plain
    assert denied < plain


def test_a_carriers_statement_filed_by_the_seller_helps_to_prove_delivery() -> None:
    plain = delivery(travelled(signed("unknown")), CUES).probability
    backed = delivery(travelled(signed("unknown"), documents=[statement_of_the_carrier("seller")]), CUES).probability
    assert backed > plain


@pytest.mark.parametrize(("sooner", "later"), [(50, 80), (80, 110), (110, 300)])
def test_the_sooner_the_complaint_the_more_it_shows(sooner: float, later: float) -> None:
    weights = [
        promptness(travelled(signed("buyer", at=48), timeline=[happened("refund_applied", "buyer", at=at)]))[1]
        for at in (sooner, later)
    ]
    assert weights[0] > weights[1]


def test_damage_noted_at_the_door_is_cited() -> None:
    evidence = travelled(signed("buyer", note="签收单备注外箱破损"))
    assert damage_noted(evidence, CUES) == ["logistics.0"]
    assert damage_noted(evidence.without("logistics.0"), CUES) == []


def test_the_carrier_did_it_where_the_record_or_the_box_shows_so() -> None:
    plain = carrier_caused(travelled(signed("buyer")), CUES).probability
    record = carrier_caused(travelled(leg("exception", note="包裹破损，重新打包"), signed("buyer")), CUES)
    crushed = ScoredPhoto("p1", PhotoRole.PACKAGING, "buyer", 0.9)
    box = carrier_caused(build_evidence(build_case(logistics=[signed("buyer")]), photos=(crushed,)), CUES)
    assert plain == 0
    assert record.probability > 0.7
    assert "logistics.0" in record.supported_by
    assert box.probability > 0.2


def test_a_carrier_that_owns_up_counts_most_where_the_buyer_quotes_it() -> None:
    def quoted_by(speaker: str) -> float:
        message = {"message_id": "m1", "at": hours(30), "speaker": speaker, "text": "快递员承认车上摔过一次"}
        return carrier_caused(travelled(signed("buyer"), chat=[message]), CUES).probability

    plain = carrier_caused(travelled(signed("buyer")), CUES).probability
    assert quoted_by("buyer") > quoted_by("seller") > plain
    assert quoted_by("buyer") > 0.5


def test_a_seller_who_admits_takes_the_blame_off_the_carrier() -> None:
    case = build_case(logistics=[leg("exception", note="破损"), signed("buyer")])
    blamed = carrier_caused(build_evidence(case), CUES).probability
    admitted = build_evidence(case, said("seller", {StatementLabel.ADMITS_FAULT: 0.95}, place=0))
    assert carrier_caused(admitted, CUES).probability < 0.5 * blamed


def test_the_goods_came_back_when_the_seller_signed_and_not_when_they_were_only_sent() -> None:
    assert return_received(travelled(leg("return_shipped"), leg("return_signed", at=20)), CUES).probability > 0.8
    assert return_received(travelled(leg("return_shipped")), CUES).probability < 0.5
    assert return_received(travelled(), CUES).probability == 0


def test_goods_left_or_taken_elsewhere_point_at_the_carrier_only_where_nothing_was_received() -> None:
    def caused(claim: str, text: str, *, by: str = "buyer") -> float:
        message = {"message_id": "m1", "at": hours(60), "speaker": by, "text": text}
        return carrier_caused(travelled(signed("unknown"), claim=claim, chat=[message]), CUES).probability

    assert caused("not_received", "快递员说搁楼下了") > 0.4
    assert caused("not_received", "The courier took it to the wrong address", by="seller") > 0.4
    assert caused("counterfeit", "快递员说搁楼下了") < 0.1


def test_a_return_signed_by_somebody_else_is_doubtful() -> None:
    assert return_received(travelled(leg("return_signed", note="非商家地址签收")), CUES).probability < 0.5
