"""The desk's pages: what they show, whom they let decide, and that evidence is only ever text."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.vocabulary import Platform
from serving.api.documents import EXAMPLE_CASE
from serving.app import create_app
from serving.house import House, build_house
from serving.records import CaseKey, Role
from serving.settings import Settings
from tests.serving.conftest import headers_of, keyed, user_of
from tests.suggesters import build_suggester

PAGE = "/cases/taobao/TB-2026-000123"
HOSTILE = "碎了<script>alert(1)</script>"


def take_in(client: TestClient, house: House, **changes: Any) -> None:
    case = {**EXAMPLE_CASE, **changes}
    sent = client.post("/api/v1/cases", json=case, headers=headers_of(house, Role.SERVICE))
    assert sent.status_code == 201, sent.text


def sign_in(client: TestClient, house: House, role: Role = Role.ARBITRATOR) -> None:
    token = house.gatekeeper.make_link(user_of(house, role), by="system:test")
    assert client.get(f"/sign-in?token={token}", follow_redirects=False).status_code == 303


def csrf(client: TestClient, path: str = PAGE) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def press(client: TestClient, **fields: str) -> Any:
    form = {"csrf_token": csrf(client), "version": "1", "ruling": "dismiss", "reason": "burden", **fields}
    return client.post(f"{PAGE}/decision", data=form, follow_redirects=False)


def test_a_stranger_is_sent_to_sign_in(client: TestClient) -> None:
    for path in ("/", PAGE):
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_the_queue_lists_open_cases_and_filters(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    assert EXAMPLE_CASE["case_id"] in client.get("/").text
    assert EXAMPLE_CASE["case_id"] not in client.get("/?claim=counterfeit").text
    assert EXAMPLE_CASE["case_id"] in client.get("/?claim=no-such-claim").text


def test_without_a_model_a_case_is_read_and_decided(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    page = client.get(PAGE).text
    assert "没有可用的模型" in page
    assert 'id="clock"' in page
    assert press(client).headers["location"] == "/?last=taobao/TB-2026-000123"
    (record,) = house.store.view(next(iter(_keys(house)))).decisions
    assert (record.decision.ruling, record.decision.decided_by) == ("dismiss", "test-arbitrator")
    assert record.decision.reason == "举证责任未完成"
    assert 'id="clock"' not in client.get(PAGE).text


def _keys(house: House) -> list[Any]:
    from serving.records import CaseKey, QueueFilter

    return [CaseKey(row.platform, row.case_id) for row in house.store.queue(QueueFilter()).cases]


def test_with_a_model_both_sides_the_ledger_and_the_marks_are_shown(
    scoring_client: TestClient, scoring_house: House
) -> None:
    chat = [
        {"message_id": "m1", "at": "2026-03-01T10:00:00+08:00", "speaker": "buyer", "text": HOSTILE},
        {"message_id": "m2", "at": "2026-03-01T10:05:00+08:00", "speaker": "seller", "text": "签收时是好的"},
    ]
    take_in(scoring_client, scoring_house, chat=chat, photos=[])
    sign_in(scoring_client, scoring_house)
    scoring_client.post(f"/api/v1{PAGE}/suggestion", headers=headers_of(scoring_house, Role.ARBITRATOR))
    page = scoring_client.get(PAGE).text
    for words in ("机器建议", "模拟案件", "有利买家", "有利卖家", "举证责任", "这只是建议"):
        assert words in page
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<mark title="称破损">碎了</mark>' in page


def test_every_ruling_is_one_press_and_none_is_nearer(scoring_client: TestClient, scoring_house: House) -> None:
    take_in(scoring_client, scoring_house)
    sign_in(scoring_client, scoring_house)
    buttons = re.findall(r'<button name="ruling" value="(\w+)"', scoring_client.get(PAGE).text)
    assert buttons == ["refund", "return_and_refund", "partial_refund", "replace", "dismiss", "request_evidence"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ruling": ""}, "请点一个裁决"),
        ({"ruling": "hang"}, "请点一个裁决"),
        ({"version": "x"}, "页面已过期"),
        ({"ruling": "partial_refund"}, "请填写退款金额"),
        ({"refund": "60"}, "请填写退款金额"),
    ],
)
def test_an_unfinished_form_says_so_and_records_nothing(
    client: TestClient, house: House, fields: dict[str, str], said: str
) -> None:
    take_in(client, house)
    sign_in(client, house)
    answer = press(client, **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert house.store.view(_keys(house)[0]).decisions == ()


def test_where_the_policy_wants_a_reason_confirming_and_overriding_need_one_alike(settings: Settings) -> None:
    house = build_house(settings.model_copy(update={"reason_required": True}), build_suggester())
    client = TestClient(create_app(settings, house=house))
    take_in(client, house)
    sign_in(client, house)
    client.post(f"/api/v1{PAGE}/suggestion", headers=headers_of(house, Role.ARBITRATOR))
    suggested = house.store.newest_suggestion(house.store.version(_keys(house)[0]))
    assert suggested is not None
    for ruling in (suggested.likeliest, next(r for r in ("dismiss", "refund") if r != suggested.likeliest)):
        answer = press(client, reason="", ruling=ruling, refund="10")
        assert (answer.status_code, "请先选择理由" in answer.text) == (422, True)
    assert house.store.view(_keys(house)[0]).decisions == ()
    house.store.close()


def test_departing_from_comparable_rulings_asks_what_distinguishes_the_case_and_only_then(
    client: TestClient, house: House
) -> None:
    for case_id in ("TB-earlier-1", "TB-earlier-2"):
        take_in(client, house, case_id=case_id)
        draft = {"ruling": "refund", "reason": "签收不当"}
        path = f"/api/v1/cases/taobao/{case_id}/decision"
        assert client.post(path, json=draft, headers=keyed(headers_of(house, Role.ARBITRATOR))).status_code == 201
    take_in(client, house)
    sign_in(client, house)
    assert "TB-earlier-1" in client.get(PAGE).text
    departing = press(client, ruling="dismiss")
    assert (departing.status_code, "同案不同判" in departing.text) == (422, True)
    assert press(client, ruling="dismiss", distinguishes="有发货视频").status_code == 303
    (record,) = house.store.view(CaseKey(Platform.TAOBAO, EXAMPLE_CASE["case_id"])).decisions
    assert record.decision.distinguishes == "有发货视频"


def test_one_press_asks_for_evidence_with_the_partys_deadline(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    assert press(client, ruling="request_evidence").status_code == 303
    (record,) = house.store.view(_keys(house)[0]).decisions
    asked = record.decision.request
    assert asked is not None
    assert asked.due_at is not None
    assert asked.text.zh in house.store.desk.notices(_keys(house)[0])[0].text.zh


def test_the_remedy_is_composed_for_every_ruling_and_can_be_edited(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    press(client, ruling="return_and_refund", refund="30.5", return_freight="buyer", responsible="both")
    (record,) = house.store.view(_keys(house)[0]).decisions
    remedy = record.decision.remedy
    assert (remedy.refund_minor, remedy.outbound_freight, remedy.return_freight) == (3050, "seller", "buyer")
    assert record.decision.responsible == "both"


def test_views_are_saved_and_deleted(client: TestClient, house: House) -> None:
    sign_in(client, house)
    form = {"csrf_token": csrf(client, "/"), "name": "急件", "query": "claim=damaged&overdue=1&evil=1"}
    assert client.post("/views", data=form, follow_redirects=False).status_code == 303
    assert '<a href="/?claim=damaged&amp;overdue=1">急件</a>' in client.get("/").text
    client.post("/views", data={"csrf_token": csrf(client, "/"), "delete": "急件"}, follow_redirects=False)
    assert "急件" not in client.get("/").text


def test_skipping_needs_a_reason_and_goes_on(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    form = {"csrf_token": csrf(client), "how": "skip", "reason": ""}
    assert "请写明原因" in client.post(f"{PAGE}/aside", data=form, follow_redirects=False).text
    answer = client.post(f"{PAGE}/aside", data={**form, "reason": "要问同事"}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_a_case_that_changed_meanwhile_is_shown_again_instead_of_decided(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    answer = press(client, version="7")
    assert answer.status_code == 409
    assert "最新版本" in answer.text
    assert house.store.view(_keys(house)[0]).decisions == ()


def test_a_wrong_csrf_token_decides_nothing(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    assert press(client, csrf_token="guessed").status_code == 403
    assert house.store.view(_keys(house)[0]).decisions == ()


def test_an_auditor_reads_but_has_no_button(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house, Role.AUDITOR)
    assert '<button name="ruling"' not in client.get(PAGE).text
    assert press(client).status_code == 403


def test_a_decision_can_be_withdrawn_with_a_reason(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    press(client)
    form = {"csrf_token": csrf(client), "reason": "看错了"}
    assert client.post(f"{PAGE}/withdraw", data=form, follow_redirects=False).status_code == 303
    (record,) = house.store.view(_keys(house)[0]).decisions
    assert (record.state, record.end_reason) == ("withdrawn", "看错了")
    assert '<button name="ruling"' in client.get(PAGE).text


def test_the_language_is_switched_on_the_page_and_never_leads_elsewhere(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    form = {"csrf_token": csrf(client), "language": "en", "back": PAGE}
    assert client.post("/language", data=form, follow_redirects=False).headers["location"] == PAGE
    assert "Your decision" in client.get(PAGE).text
    for hostile in ("//evil.example", "https://evil.example", "/\\evil.example"):
        form = {"csrf_token": csrf(client), "language": "zh", "back": hostile}
        assert client.post("/language", data=form, follow_redirects=False).headers["location"] == "/"


def test_an_unknown_case_is_a_404(client: TestClient, house: House) -> None:
    sign_in(client, house)
    assert client.get("/cases/taobao/none").status_code == 404
