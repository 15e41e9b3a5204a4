"""Two people never hold one case; what is due comes first; reviews go to somebody else; time does its work."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.vocabulary import Platform
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.app import create_app
from serving.house import House, build_house
from serving.records import CaseKey, Role
from serving.settings import Settings
from tests.serving.conftest import Headers, headers_of, keyed
from tests.suggesters import build_suggester

CASES = "/api/v1/cases"
NEXT = "/api/v1/desk/next"


def take_in(client: TestClient, headers: Headers, case_id: str, **changes: Any) -> str:
    order = {**EXAMPLE_CASE["order"], **changes.pop("order", {})}
    case = {**EXAMPLE_CASE, "case_id": case_id, "order": order, **changes}
    assert client.post(CASES, json=case, headers=headers).status_code == 201
    return f"{CASES}/{case['platform']}/{case_id}"


def decide(client: TestClient, one: str, headers: Headers, **draft: Any) -> Any:
    return client.post(f"{one}/decision", json={**EXAMPLE_DECISION, **draft}, headers=keyed(headers))


def person(house: House, name: str, role: Role = Role.ARBITRATOR) -> Headers:
    return headers_of(house, role, name=name)


def with_policy(settings: Settings, **policy: Any) -> House:
    return build_house(settings.model_copy(update=policy), build_suggester())


def test_two_people_never_hold_one_case(client: TestClient, house: House, service: Headers) -> None:
    one = take_in(client, service, "TB-1")
    first, second = person(house, "first"), person(house, "second")
    assert client.post(f"{one}/hold", headers=first).json()["held_by"] == "first"
    refused = client.post(f"{one}/hold", headers=second)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:evidence-review:problem:held-by-another")
    assert decide(client, one, second).status_code == 409
    assert client.post(NEXT, headers=second).status_code == 204
    assert client.delete(f"{one}/hold", headers=first).status_code == 204
    assert client.post(NEXT, headers=second).json()["hold"]["held_by"] == "second"


def test_a_hold_without_a_sign_of_life_ends_by_itself(settings: Settings) -> None:
    house = with_policy(settings, hold_minutes=0.0001)
    client = TestClient(create_app(settings, house=house))
    one = take_in(client, person(house, "intake", Role.SERVICE), "TB-1")
    first = client.post(f"{one}/hold", headers=person(house, "first")).json()
    second = client.post(f"{one}/hold", headers=person(house, "second")).json()
    assert (second["held_by"], second["fence"]) == ("second", first["fence"] + 1)
    house.store.close()


def test_the_next_case_is_the_one_whose_clock_runs_out_first_weighted_by_its_amount(
    client: TestClient, house: House, service: Headers
) -> None:
    take_in(client, service, "later", opened_at="2026-03-03T10:00:00+08:00")
    take_in(client, service, "sooner", opened_at="2026-03-02T10:00:00+08:00")
    take_in(client, service, "dear", opened_at="2026-03-03T10:00:00+08:00", order={"paid_minor": 400_000})
    me = person(house, "me")
    taken = [client.post(NEXT, headers=me).json()["case"]["case_id"] for _ in range(3)]
    assert taken == ["dear", "sooner", "later"]
    assert client.post(NEXT, headers=me).status_code == 204


def test_a_person_holds_so_many_cases_and_no_more(client: TestClient, house: House, service: Headers) -> None:
    for n in range(6):
        take_in(client, service, f"TB-{n}")
    me = person(house, "me")
    answers = [client.post(NEXT, headers=me) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [409]
    assert answers[-1].json()["type"] == "urn:evidence-review:problem:load-cap"


def test_whoever_skips_or_recuses_isnt_offered_the_case(client: TestClient, house: House, service: Headers) -> None:
    skipped, recused = take_in(client, service, "TB-1"), take_in(client, service, "TB-2")
    me, other = person(house, "me"), person(house, "other")
    assert client.post(f"{skipped}/skip", json={}, headers=me).status_code == 422
    assert client.post(f"{skipped}/skip", json={"reason": "要等同事"}, headers=me).status_code == 204
    assert client.post(f"{recused}/recusal", json={"reason": "认识卖家"}, headers=me).status_code == 204
    assert client.post(NEXT, headers=me).status_code == 204
    assert client.post(f"{recused}/hold", headers=me).status_code == 403
    assert client.post(f"{skipped}/hold", headers=me).status_code == 201
    assert client.post(NEXT, headers=other).json()["case"]["case_id"] == "TB-2"


def test_whoever_recused_themself_decides_in_no_stage(client: TestClient, house: House, service: Headers) -> None:
    one = take_in(client, service, "TB-1")
    me, other = person(house, "me", Role.LEAD), person(house, "other")
    client.post(f"{one}/recusal", json={"reason": "认识卖家"}, headers=me)
    refused = decide(client, one, me)
    assert (refused.status_code, refused.json()["detail"]) == (403, "you recused yourself from this case")
    assert decide(client, one, other).status_code == 201
    client.post(f"{one}/appeal", json={"filed_by": "seller", "reason": "有发货视频"}, headers=service)
    assert decide(client, one, me, stage="appeal").status_code == 403
    view = client.get(one, headers=other).json()
    assert (view["status"], len(view["decisions"])) == ("appealed", 1)


def test_whoever_recused_themself_withdraws_no_decision_and_touches_no_notice(
    client: TestClient, house: House, service: Headers
) -> None:
    one = take_in(client, service, "TB-1")
    lead, decider = person(house, "me", Role.LEAD), person(house, "other")
    decide(client, one, decider)
    (notice,) = client.get(f"{one}/notices", headers=lead).json()
    for me in (lead, decider):
        client.post(f"{one}/recusal", json={"reason": "认识卖家"}, headers=me)
        for refused in (
            client.post(f"{one}/decision/withdraw", json={"reason": "看错"}, headers=me),
            client.put(f"{one}/notices/{notice['notice_id']}", json={"zh": "改", "en": "edited"}, headers=me),
            client.post(f"{one}/notices/{notice['notice_id']}/send", headers=me),
        ):
            assert (refused.status_code, refused.json()["detail"]) == (403, "you recused yourself from this case")
    assert client.get(f"{one}/notices", headers=lead).json() == [notice]
    assert client.get(one, headers=lead).json()["decisions"][0]["state"] == "standing"


def test_the_page_offers_no_way_to_undo_or_notify_to_whoever_recused_themself(
    client: TestClient, house: House, service: Headers
) -> None:
    one, page = take_in(client, service, "TB-1"), "/cases/taobao/TB-1"
    lead, decider = person(house, "me", Role.LEAD), person(house, "other")
    decide(client, one, decider)
    for me, shown in ((lead, page), (decider, page), (decider, "/?last=taobao/TB-1")):
        assert f'action="{page}/withdraw"' in client.get(shown, headers=me).text
    (notice,) = client.get(f"{one}/notices", headers=lead).json()
    form = {"notice_id": notice["notice_id"], "zh": "改", "en": "edited", "send": "1"}
    for me in (lead, decider):
        assert f'action="{page}/notice"' in client.get(page, headers=me).text
        client.post(f"{one}/recusal", json={"reason": "认识卖家"}, headers=me)
        for shown in (page, "/?last=taobao/TB-1"):
            offered = client.get(shown, headers=me).text
            assert (f'action="{page}/withdraw"' in offered, f'action="{page}/notice"' in offered) == (False, False)
        for pressed in (
            client.post(f"{page}/withdraw", data={"reason": "看错"}, headers=me),
            client.post(f"{page}/notice", data=form, headers=me),
        ):
            assert (pressed.status_code, "you recused yourself from this case" in pressed.text) == (409, True)
    assert client.get(f"{one}/notices", headers=lead).json() == [notice]


def test_the_page_offers_no_decision_to_whoever_recused_themself(
    client: TestClient, house: House, service: Headers
) -> None:
    one = take_in(client, service, "TB-1")
    page, me = "/cases/taobao/TB-1", person(house, "me")
    assert '<button name="ruling"' in client.get(page, headers=me).text
    client.post(f"{one}/recusal", json={"reason": "认识卖家"}, headers=me)
    offered = client.get(page, headers=me).text
    assert ('<button name="ruling"' in offered, f'action="{page}/hold"' in offered) == (False, False)
    assert '<button name="ruling"' in client.get(page, headers=person(house, "other")).text
    pressed = client.post(
        f"{page}/decision", data={"version": "1", "ruling": "dismiss", "reason": "burden"}, headers=me
    )
    assert pressed.status_code == 403
    assert client.get(one, headers=me).json()["decisions"] == []


def test_a_dear_case_waits_for_another_persons_review(client: TestClient, house: House, service: Headers) -> None:
    one = take_in(client, service, "TB-1", order={"paid_minor": 900_000})
    lead = person(house, "lead", Role.LEAD)
    assert decide(client, one, lead).json()["four_eyes"] is True
    assert client.get(one, headers=lead).json()["status"] == "awaiting_lead"
    assert client.get(f"{one}/notices", headers=lead).json() == []
    assert client.post(NEXT, headers=lead).status_code == 204
    assert decide(client, one, lead, stage="lead_review").status_code == 403
    assert client.post(NEXT, headers=person(house, "somebody")).status_code == 204
    second = person(house, "second lead", Role.LEAD)
    assert client.post(NEXT, headers=second).json()["case"]["case_id"] == "TB-1"
    assert decide(client, one, second, stage="lead_review").status_code == 201
    assert client.get(one, headers=lead).json()["status"] == "decided"
    assert len(client.get(f"{one}/notices", headers=lead).json()) == 1


def test_an_appeal_waits_for_somebody_who_hasnt_decided(client: TestClient, house: House, service: Headers) -> None:
    one = take_in(client, service, "TB-1")
    appeal = {"filed_by": "seller", "reason": "有发货视频"}
    assert client.post(f"{one}/appeal", json=appeal, headers=service).status_code == 409
    first, other = person(house, "first"), person(house, "other")
    decide(client, one, first)
    assert client.post(f"{one}/appeal", json=appeal, headers=service).status_code == 201
    assert client.get(one, headers=first).json()["status"] == "appealed"
    assert client.post(NEXT, headers=first).status_code == 204
    assert client.post(NEXT, headers=other).json()["case"]["case_id"] == "TB-1"
    assert decide(client, one, other, stage="appeal", ruling="dismiss").status_code == 201
    assert client.get(one, headers=first).json()["status"] == "decided"
    assert client.post(f"{one}/appeal", json=appeal, headers=service).status_code == 409


def test_the_notice_gives_facts_evidence_rule_and_remedy_in_both_languages_and_can_be_edited_till_it_is_sent(
    client: TestClient, house: House, service: Headers
) -> None:
    one = take_in(client, service, "TB-1")
    me = person(house, "me")
    decide(client, one, me, reason="签收不当")
    (notice,) = client.get(f"{one}/notices", headers=me).json()
    for words in ("破损", "CNY 59.00", "快递柜", "taobao@", "签收不当", "支持退款", "申诉"):
        assert words in notice["text"]["zh"]
    for words in ("Damaged", "CNY 59.00", "locker", "taobao@", "A refund is due", "Either side may appeal"):
        assert words in notice["text"]["en"]
    text = {"zh": "改过的通知", "en": "edited"}
    edited = client.put(f"{one}/notices/{notice['notice_id']}", json=text, headers=me).json()
    assert (edited["text"], edited["edited_by"], edited["state"]) == (text, "me", "draft")
    assert client.post(f"{one}/notices/{notice['notice_id']}/send", headers=me).json()["state"] == "sent"
    again = client.put(f"{one}/notices/{notice['notice_id']}", json=text, headers=me)
    assert (again.status_code, again.json()["type"]) == (409, "urn:evidence-review:problem:notice-sent")


def test_a_notice_leaves_when_the_undo_window_is_over_and_not_before(settings: Settings) -> None:
    for minutes, state in ((10.0, "draft"), (0.0, "sent")):
        house = with_policy(settings, undo_minutes=minutes)
        client = TestClient(create_app(settings, house=house))
        one = take_in(client, person(house, "intake", Role.SERVICE), f"TB-{minutes}")
        me = person(house, "me")
        decide(client, one, me)
        house.store.desk.keep_up()
        assert client.get(f"{one}/notices", headers=me).json()[0]["state"] == state
        withdrawn = client.post(f"{one}/decision/withdraw", json={"reason": "看错"}, headers=me)
        assert withdrawn.status_code == (201 if minutes else 403)
        if minutes:
            assert client.get(f"{one}/notices", headers=me).json()[0]["state"] == "void"
        house.store.close()


def test_who_lets_the_evidence_deadline_pass_has_missed_it_and_the_case_goes_on(
    client: TestClient, house: House, service: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = take_in(client, service, "TB-1")
    me = person(house, "me")
    asked = {"party": "seller", "what": "packing_record", "text": {"zh": "请提交发货记录", "en": "File it"}}
    decision = decide(client, one, me, ruling="request_evidence", remedy=None, request=asked).json()
    due = datetime.fromisoformat(decision["request"]["due_at"])
    assert due - datetime.fromisoformat(decision["decided_at"]) == timedelta(hours=72)
    view = client.get(one, headers=me).json()
    assert (view["status"], datetime.fromisoformat(view["due_at"])) == ("awaiting_evidence", due)
    assert "请提交发货记录" in client.get(f"{one}/notices", headers=me).json()[0]["text"]["zh"]
    house.store.desk.keep_up()
    assert client.get(one, headers=me).json()["status"] == "awaiting_evidence"
    later = datetime.now(UTC) + timedelta(hours=73)
    monkeypatch.setattr("serving.store.desk._now", lambda: later)
    house.store.desk.keep_up()
    view = client.get(one, headers=me).json()
    assert (view["status"], view["version"]) == ("open", 2)
    assert (view["case"]["timeline"][-1]["event"], view["case"]["timeline"][-1]["by"]) == ("deadline_missed", "seller")
    assert view["decisions"][0]["end_reason"] == "deadline_missed"
    assert datetime.fromisoformat(view["due_at"]) > datetime.fromisoformat(EXAMPLE_CASE["opened_at"]) + timedelta(
        hours=140
    )


def test_a_blind_case_shows_nothing_of_the_machine_until_somebody_has_committed(settings: Settings) -> None:
    house = with_policy(settings, blind_share=1.0)
    client = TestClient(create_app(settings, house=house))
    one = take_in(client, person(house, "intake", Role.SERVICE), "TB-1")
    me = person(house, "me")
    refused = client.post(f"{one}/suggestion", headers=me)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:evidence-review:problem:blind-first")
    stateless = client.post("/api/v1/suggestions", json={**EXAMPLE_CASE, "case_id": "TB-1"}, headers=me)
    assert stateless.status_code == 409
    stored = house.store.newest_suggestion(house.store.version(CaseKey(Platform.TAOBAO, "TB-1")))
    assert stored is not None
    view = client.get(one, headers=me).json()
    (row,) = client.get(CASES, headers=me).json()["cases"]
    assert (view["suggestion"], view["hidden"], row["ruling"], row["confidence"], row["hidden"]) == (
        None,
        True,
        None,
        None,
        True,
    )
    correction = {"kind": "statement", "ref": "m1", "label": "claims_damage", "holds": False}
    assert client.post(f"{one}/corrections", json=correction, headers=me).status_code == 409
    assert decide(client, one, me, suggestion_id=stored.suggestion_id).status_code == 422
    decision = decide(client, one, me).json()
    assert (decision["blind"], decision["suggestion_shown"]) == (True, False)
    assert decision["suggestion_id"] == stored.suggestion_id
    assert client.get(one, headers=me).json()["suggestion"]["suggestion_id"] == stored.suggestion_id
    client.post(f"{one}/decision/withdraw", json={"reason": "看错"}, headers=me)
    assert decide(client, one, me).json()["blind"] is False
    house.store.close()


def test_the_kill_switch_hides_and_stops_suggestions_and_the_desk_goes_on(
    scoring_client: TestClient, scoring_house: House
) -> None:
    one = take_in(scoring_client, person(scoring_house, "intake", Role.SERVICE), "TB-1")
    me, lead = person(scoring_house, "me"), person(scoring_house, "lead", Role.LEAD)
    scoring_client.post(f"{one}/suggestion", headers=me)
    off = {"claim": "damaged", "platform": None, "reason": "复查"}
    assert scoring_client.post("/api/v1/switches", json=off, headers=me).status_code == 403
    switch = scoring_client.post("/api/v1/switches", json=off, headers=lead).json()
    view = scoring_client.get(one, headers=me).json()
    assert (view["suggestion"], view["suggestion_state"]) == (None, "off")
    refused = scoring_client.post(f"{one}/suggestion", headers=me)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:evidence-review:problem:suggestions-off")
    two = take_in(scoring_client, person(scoring_house, "intake", Role.SERVICE), "TB-2", photos=[], chat=[])
    worker = scoring_house.worker()
    while worker.work_once():
        pass
    assert scoring_house.store.newest_suggestion(scoring_house.store.version(CaseKey(Platform.TAOBAO, "TB-2"))) is None
    assert decide(scoring_client, one, me).status_code == 201
    ended = scoring_client.delete(f"/api/v1/switches/{switch['switch_id']}", headers=lead).json()
    assert ended["ended_by"] == "lead"
    while worker.work_once():
        pass
    assert scoring_client.get(two, headers=me).json()["suggestion"] is not None
