"""A service in which everything was used once: every table has rows, and one case holds words to look for."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi.testclient import TestClient

from models.integrity import IntegrityReport, ReusedPhoto
from models.vocabulary import Claim, Platform
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.app import create_app
from serving.desk_records import AssignmentDraft, SwitchDraft
from serving.house import House
from serving.records import CaseKey, Role
from tests.builders import photo_bytes
from tests.serving.conftest import headers_of, keyed, user_of

ID = "TB-SECRET-1"
KEY = CaseKey(Platform.TAOBAO, ID)
ONE = f"/api/v1/cases/taobao/{ID}"
OTHER = f"/api/v1/cases/taobao/{EXAMPLE_CASE['case_id']}"
BUYER = "buyer-secret"
SECRETS = (
    ID, BUYER, "order-secret", "said-in-chat", "said-by-buyer", "said-by-seller", "title-secret", "note-secret",
    "reason-secret", "appeal-secret", "skip-secret", "notice-secret", "correction-secret", "ask-secret",
    "withdrawn-secret", "message-secret", "photo-secret",
)  # fmt: skip


def secret_case(**changes: Any) -> dict[str, Any]:
    order = {**EXAMPLE_CASE["order"], "order_id": "order-secret", "buyer_id": BUYER}
    chat = {"message_id": "message-secret", "at": "2026-03-01T12:00:00+08:00", "speaker": "buyer"}
    return {
        **EXAMPLE_CASE,
        "case_id": ID,
        "order": order,
        "buyer_statement": "said-by-buyer 碎了",
        "seller_statement": "said-by-seller",
        "listing": {"title": "title-secret", "category": "kitchenware"},
        "logistics": [{"at": "2026-03-01T09:00:00+08:00", "event": "signed", "by": "locker", "note": "note-secret"}],
        "chat": [{**chat, "text": "said-in-chat 碎了", "photo_ids": ["photo-secret"]}],
        "photos": [{"photo_id": "photo-secret", "role": "received", "filed_by": "buyer"}],
        **changes,
    }


def use_everything(house: House) -> TestClient:
    """Fill a service with a model: the secrets stand wherever they can, on a decided case; another case lies beside."""
    client = TestClient(create_app(house.settings, house=house))
    service, person = headers_of(house, Role.SERVICE), headers_of(house, Role.ARBITRATOR)
    lead = headers_of(house, Role.LEAD)

    def post(path: str, content: dict[str, Any] | None, headers: dict[str, str]) -> dict[str, Any]:
        answer = client.post(path, json=content, headers=keyed(headers))
        assert answer.status_code < 300, answer.text
        return dict(answer.json()) if answer.content else {}

    house.store.shadows.switch(on=True, by=user_of(house, Role.LEAD))
    for case in (EXAMPLE_CASE, secret_case()):
        post("/api/v1/cases", case, service)
    shared, own = photo_bytes(seed=1), photo_bytes(seed=2)
    for path, data in ((f"{OTHER}/photos/p1", shared), (f"{ONE}/photos/photo-secret", shared)):
        assert client.put(path, content=data, headers=service).status_code == 201
    post(f"{ONE}/evidence", {"photos": [{"photo_id": "p-own", "role": "packaging", "filed_by": "buyer"}]}, service)
    assert client.put(f"{ONE}/photos/p-own", content=own, headers=service).status_code == 201
    post(f"{ONE}/suggestion", None, person)
    post(f"{ONE}/skip", {"reason": "skip-secret"}, person)
    said = {"ref": "message-secret", "label": "claims_damage", "note": "correction-secret"}
    post(f"{ONE}/corrections", {"kind": "statement", "holds": False, **said}, person)
    ask = {"party": "buyer", "what": "ask-secret", "text": {"zh": "ask-secret", "en": "ask-secret"}}
    post(f"{ONE}/decision", {"ruling": "request_evidence", "reason": "reason-secret", "request": ask}, person)
    post(f"{ONE}/decision/withdraw", {"stage": "first_review", "reason": "withdrawn-secret"}, person)
    decision = {**EXAMPLE_DECISION, "reason": "reason-secret", "responsible": "seller"}
    post(f"{ONE}/decision", decision, person)
    notice = client.get(f"{ONE}/notices", headers=person).json()[0]["notice_id"]
    text = {"zh": "notice-secret", "en": "notice-secret"}
    assert client.put(f"{ONE}/notices/{notice}", json=text, headers=person).status_code == 200
    post(f"{ONE}/notices/{notice}/send", None, person)
    post(f"{ONE}/appeal", {"filed_by": "seller", "reason": "appeal-secret"}, service)
    post(f"{ONE}/decision", {**decision, "stage": "appeal"}, lead)
    for one in house.store.desk.notices(KEY):
        if one.state == "draft":
            house.store.desk.send_notice(KEY, one.notice_id, by=user_of(house, Role.LEAD))
    post(f"{OTHER}/decision", EXAMPLE_DECISION, person)
    seen = ReusedPhoto(
        ref="p1", other_platform="taobao", other_case_id=ID, other_ref="photo-secret", same_buyer=False,
        same_seller=True, overlap=1, mirrored=False,
    )  # fmt: skip
    version = house.store.version(CaseKey(Platform.TAOBAO, EXAMPLE_CASE["case_id"]))
    house.store.photo_checks.keep(
        version, IntegrityReport(findings=(seen,), checked=("reused_photo",)), by="system:test"
    )
    house.store.desk.keep_preference("mine", f"search={ID}", of=user_of(house, Role.LEAD), kind="view")
    house.backlogs.create(by="li", rows=json.dumps(secret_case()).encode() + b"\n")
    _use_the_rest(house)
    _use_a_shadow(house)
    return client


def _use_the_rest(house: House) -> None:
    """What has nothing to do with the case: signing in, a wrong password, a switch, dealt cases, a retraining."""
    lead = user_of(house, Role.LEAD)
    house.gatekeeper.sign_in_by_link(house.gatekeeper.make_link(lead, by="system:test"))
    house.store.accounts.begin_attempt("0" * 64, allowed=5, lock=timedelta(minutes=1))
    house.store.desk.switch_off(SwitchDraft(claim=Claim.COUNTERFEIT, reason="being looked at"), by=lead)
    case = {**EXAMPLE_CASE, "case_id": "TB-DEALT"}
    client = TestClient(create_app(house.settings, house=house))
    client.post("/api/v1/cases", json=case, headers=headers_of(house, Role.SERVICE))
    house.store.oversight.assign(AssignmentDraft(people=(lead.name,), preview=False), by=lead)
    house.store.desk.take(CaseKey(Platform.TAOBAO, "TB-DEALT"), by=lead)
    house.store.retrainings.ask(by=lead)


def _use_a_shadow(house: House) -> None:
    """A challenger answers the case too; whatever waits for the champion is held, for that comes first."""
    while house.store.score_queue.lease(worker="test", lease_s=600) is not None:
        pass
    job = house.store.shadows.take(
        number=2,
        model_version="ruling/challenger",
        since=datetime(2026, 1, 1, tzinfo=UTC),
        after=0,
        worker="test",
        lease_s=600,
    )
    said = house.store.newest_suggestion(house.store.version(KEY))
    assert job is not None
    assert said is not None
    house.store.shadows.keep(job, said.model_copy(update={"model_version": "ruling/challenger"}))
