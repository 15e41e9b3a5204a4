"""Comparable rulings: by facts, under the same rules, the nearest first."""

from typing import Any

from models.domain import DecisionDraft
from models.vocabulary import Platform, Ruling
from serving.house import House
from serving.records import CaseKey, EvidenceDraft, Queue, Role, User
from tests.builders import build_case, happened, hours, signed
from tests.serving.conftest import user_of

ANYBODY = User(1, "anybody", Role.ARBITRATOR)


def _ruled(house: House, case_id: str, ruling: str, **changes: Any) -> None:
    case = build_case(case_id=case_id, **changes)
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    draft = DecisionDraft(ruling=Ruling(ruling))
    house.store.decide(
        CaseKey(case.platform, case_id), draft, by=user_of(house, Role.ARBITRATOR), input_digest="sha256:0"
    )


def _waiting(house: House, case_id: str = "here", **changes: Any) -> CaseKey:
    case = build_case(case_id=case_id, **changes)
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    return CaseKey(case.platform, case_id)


def test_the_most_alike_ruling_comes_first_and_the_unlike_is_left_out(house: House) -> None:
    _ruled(house, "same", "refund", logistics=[signed("buyer")])
    _ruled(house, "dearer", "refund", logistics=[signed("buyer")], order={"paid_minor": 9000})
    _ruled(house, "other-claim", "dismiss", claim="not_received", logistics=[signed("buyer")])
    _ruled(house, "unlike", "dismiss", requested="replace", listing={"title": "羽绒服"}, order={"goods_state": "used"})
    found = house.store.desk.precedents(_waiting(house, logistics=[signed("buyer")]), reader=ANYBODY)
    assert [one.case_id for one in found.nearest] == ["same", "dearer"]
    assert found.nearest[0].likeness == 1.0
    assert found.usual == "refund"


def test_nothing_is_usual_where_comparable_rulings_differ(house: House) -> None:
    _ruled(house, "one", "refund")
    _ruled(house, "two", "dismiss")
    assert house.store.desk.precedents(_waiting(house), reader=ANYBODY).usual is None


def test_what_is_compared_follows_new_evidence(house: House) -> None:
    _ruled(house, "left-in-a-locker", "refund", logistics=[signed("locker")])
    key = _waiting(house)
    (before,) = house.store.desk.precedents(key, reader=ANYBODY).nearest
    draft = EvidenceDraft.model_validate(
        {"logistics": [signed("locker")], "timeline": [happened("evidence_filed", "seller", at=210)]}
    )
    house.store.add_evidence(key, draft, by=user_of(house, Role.SERVICE))
    (after,) = house.store.desk.precedents(key, reader=ANYBODY).nearest
    assert before.likeness < after.likeness == 1.0
    assert house.store.view(key).case.logistics[-1].at == hours(48)


def test_a_precedent_outside_the_readers_queues_is_told_without_its_name(house: House) -> None:
    _ruled(house, "theirs", "refund", platform="tmall")
    _ruled(house, "ours", "refund")
    reader = User(1, "kept", Role.ARBITRATOR, (Queue(platform=Platform.TAOBAO),))
    found = house.store.desk.precedents(_waiting(house), reader=reader)
    assert {(one.platform, one.case_id, one.title) for one in found.nearest} == {
        (Platform.TAOBAO, "ours", "马克杯"),
        (Platform.TMALL, None, None),
    }
    assert found.usual == "refund"
