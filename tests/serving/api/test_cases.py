"""Taking cases and evidence in: once, whole, with the field at fault named."""

import json
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.api.documents import EXAMPLE_CASE, EXAMPLE_EVIDENCE
from serving.house import House
from serving.records import CaseStatus, Role
from tests.builders import build_case, hours
from tests.serving.conftest import Headers, headers_of, keyed

CASES = "/api/v1/cases"
ONE = f"{CASES}/taobao/TB-2026-000123"


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the example case with one place replaced; `...` deletes it."""
    case: dict[str, Any] = json.loads(json.dumps(EXAMPLE_CASE))
    place: Any = case
    *way, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return case


def take_in(client: TestClient, headers: Headers, **changes: Any) -> None:
    answer = client.post(CASES, json=build_case(**changes).model_dump(mode="json"), headers=headers)
    assert answer.status_code == 201, answer.text


def test_a_new_case_is_version_one(client: TestClient, service: Headers) -> None:
    answer = client.post(CASES, json=EXAMPLE_CASE, headers=service)
    assert (answer.status_code, answer.json()["version"], answer.headers["etag"]) == (201, 1, '"1"')


def test_the_same_case_again_changes_nothing(client: TestClient, house: House, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    n_entries = len(house.store.audit_trail())
    answer = client.post(CASES, json=EXAMPLE_CASE, headers=service)
    assert (answer.status_code, answer.json()["changed"]) == (200, False)
    assert len(house.store.audit_trail()) == n_entries


def test_another_content_under_the_same_id_is_refused(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    answer = client.post(CASES, json=changed("claim", "missing_item"), headers=service)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:evidence-review:problem:case-exists")


BAD_PLACES = [
    ("claim", "broken", "claim"),
    ("claim", ..., "claim"),
    ("platform", "myspace", "platform"),
    ("case_id", "", "case_id"),
    ("case_id", "a\x00b", "case_id"),
    ("opened_at", "2026-03-02T10:00:00", "opened_at"),
    ("opened_at", "yesterday", "opened_at"),
    ("requested", "dismiss", "requested"),
    ("surprise", 1, "surprise"),
    ("listing", ..., "listing"),
    ("order.paid_minor", -1, "order.paid_minor"),
    ("order.paid_minor", 12.5, "order.paid_minor"),
    ("order.paid_minor", "59", "order.paid_minor"),
    ("order.currency", "yuan", "order.currency"),
    ("order.goods_state", ..., "order.goods_state"),
    ("order.surprise", 1, "order.surprise"),
    ("chat.0.speaker", "judge", "chat.0.speaker"),
    ("chat.0.text", 5, "chat.0.text"),
    ("chat.0.photo_ids", ["p9"], "chat.0.photo_ids"),
    ("photos.0.role", "selfie", "photos.0.role"),
    ("photos.0.path", "../../etc/passwd", "photos.0.path"),
    ("logistics.0.event", "teleported", "logistics.0.event"),
    ("timeline", [{"at": "2026-03-01T00:00:00Z", "event": "shouted"}], "timeline.0.event"),
    ("documents", [{"document_id": "d1", "kind": "poem", "filed_by": "buyer"}], "documents.0.kind"),
]


@pytest.mark.parametrize(("path", "value", "field"), BAD_PLACES, ids=lambda part: str(part)[:30])
def test_bad_input_names_its_field_and_stores_nothing(
    client: TestClient, house: House, service: Headers, path: str, value: Any, field: str
) -> None:
    answer = client.post(CASES, json=changed(path, value), headers=service)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert sum(house.store.counts().values()) == 0


def test_messages_out_of_order_are_named(client: TestClient, service: Headers) -> None:
    earlier = {"message_id": "m2", "at": "2026-03-01T11:00:00+08:00", "speaker": "seller", "text": "?"}
    answer = client.post(CASES, json=changed("chat", [EXAMPLE_CASE["chat"][0], earlier]), headers=service)
    assert answer.json()["errors"][0]["field"] == "chat.1.at"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":' * 3000, b"[" * 100_000, b'{"case_id": 1e999}', b"NaN"]
)
def test_what_is_no_json_object_is_refused(client: TestClient, service: Headers, body: bytes) -> None:
    answer = client.post(CASES, content=body, headers={**service, "Content-Type": "application/json"})
    assert answer.status_code == 422


def test_a_body_of_another_kind_is_refused(client: TestClient, service: Headers) -> None:
    answer = client.post(CASES, content=b"<case/>", headers={**service, "Content-Type": "application/xml"})
    assert answer.json()["errors"][0]["field"] == "Content-Type"


def test_a_body_over_the_cap_is_refused(client: TestClient, service: Headers) -> None:
    case = changed("buyer_statement", "字" * 19_000)
    case["chat"] = [{**EXAMPLE_CASE["chat"][0], "message_id": f"m{n}", "text": "x" * 19_000} for n in range(12)]
    assert client.post(CASES, json=case, headers=service).status_code == 413


def test_a_long_chat_and_every_script_are_taken_in(client: TestClient, service: Headers) -> None:
    chat = [
        {"message_id": f"m{n}", "at": hours(1 + n / 60).isoformat(), "speaker": "buyer", "text": "🙃 مرحبا שלום 碎了"}
        for n in range(1200)
    ]
    answer = client.post(CASES, json=changed("chat", chat), headers=service)
    assert answer.status_code == 201
    assert len(client.get(ONE, headers=service).json()["case"]["chat"]) == 1200


def test_an_id_with_a_slash_reaches_its_case(client: TestClient, service: Headers) -> None:
    take_in(client, service, case_id="2026/03/7 号")
    assert client.get(f"{CASES}/taobao/2026/03/7 号", headers=service).json()["case"]["case_id"] == "2026/03/7 号"


def test_added_evidence_makes_a_version_in_time_order(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    early = {"message_id": "m0", "at": "2026-03-01T08:00:00+08:00", "speaker": "seller", "text": "已发货"}
    answer = client.post(f"{ONE}/evidence", json={**EXAMPLE_EVIDENCE, "chat": [early]}, headers=service)
    assert (answer.status_code, answer.json()["version"]) == (201, 2)
    case = client.get(ONE, headers=service).json()["case"]
    assert [message["message_id"] for message in case["chat"]] == ["m0", "m1"]
    assert [photo["photo_id"] for photo in case["photos"]] == ["p1", "p2"]


def test_the_same_evidence_again_changes_nothing(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    client.post(f"{ONE}/evidence", json=EXAMPLE_EVIDENCE, headers=service)
    answer = client.post(f"{ONE}/evidence", json=EXAMPLE_EVIDENCE, headers=service)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)


def test_evidence_cannot_rewrite_what_is_on_file(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    forged = {"chat": [{**EXAMPLE_CASE["chat"][0], "text": "杯子没碎"}]}
    answer = client.post(f"{ONE}/evidence", json=forged, headers=service)
    assert answer.json()["errors"][0]["field"] == "chat.0.message_id"


def test_a_whole_case_as_evidence_makes_a_version(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    answer = client.post(f"{ONE}/evidence", json=changed("order.goods_state", "returned"), headers=service)
    assert answer.json()["version"] == 2
    other = client.post(f"{ONE}/evidence", json=changed("case_id", "TB-9"), headers=service)
    assert other.json()["errors"][0]["field"] == "case_id"


def test_a_case_taken_in_again_after_evidence_is_still_known(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    client.post(f"{ONE}/evidence", json=EXAMPLE_EVIDENCE, headers=service)
    answer = client.post(CASES, json=EXAMPLE_CASE, headers=service)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)


def test_bad_evidence_names_its_field(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    answer = client.post(f"{ONE}/evidence", json={"chats": []}, headers=service)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "chats")


def test_evidence_is_as_strict_as_intake(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    answer = client.post(f"{ONE}/evidence", json={"logistics": [{"at": 0, "event": "shipped"}]}, headers=service)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "logistics.0.at")


def test_an_unknown_case_is_404(client: TestClient, service: Headers) -> None:
    assert client.get(f"{CASES}/jd/none", headers=service).status_code == 404
    assert client.post(f"{CASES}/jd/none/evidence", json={}, headers=service).status_code == 404


def test_a_case_is_shown_with_its_absent_photos_and_pending_suggestion(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    view = client.get(ONE, headers=service).json()
    assert view["photos"][0]["present"] is False
    assert (view["suggestion"], view["suggestion_state"], view["decisions"]) == (None, "pending", [])


def test_the_queue_pages_through_every_case_once_oldest_first(client: TestClient, service: Headers) -> None:
    for n in range(7):
        take_in(client, service, case_id=f"TB-{n}", opened_at=hours(200) - timedelta(hours=n // 2))
    seen: list[str] = []
    cursor = None
    while True:
        page = client.get(CASES, params={"limit": 3, **({"cursor": cursor} if cursor else {})}, headers=service).json()
        seen += [row["case_id"] for row in page["cases"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["TB-6", "TB-4", "TB-5", "TB-2", "TB-3", "TB-0", "TB-1"]


def test_the_queue_is_filtered(client: TestClient, house: House, service: Headers) -> None:
    take_in(client, service, case_id="TB-1")
    take_in(client, service, case_id="JD-1", platform="jd", claim="counterfeit", order={"paid_minor": 99_00})

    def found(**wanted: Any) -> list[str]:
        return [row["case_id"] for row in client.get(CASES, params=wanted, headers=service).json()["cases"]]

    assert found(claim="counterfeit") == found(platform="jd") == found(min_paid_minor=9000) == ["JD-1"]
    assert found(max_paid_minor=9000) == ["TB-1"]
    assert found(status="decided") == []
    client.post(
        f"{CASES}/jd/JD-1/decision", json={"ruling": "dismiss"}, headers=keyed(headers_of(house, Role.ARBITRATOR))
    )
    assert found(status="decided") == ["JD-1"]
    assert house.store.counts()[CaseStatus.OPEN] == 1


@pytest.mark.parametrize("wanted", [{"cursor": "rubbish"}, {"cursor": "W10"}, {"limit": 0}, {"claim": "x"}])
def test_a_bad_question_to_the_queue_is_named(client: TestClient, service: Headers, wanted: dict[str, Any]) -> None:
    answer = client.get(CASES, params=wanted, headers=service)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(wanted)))
