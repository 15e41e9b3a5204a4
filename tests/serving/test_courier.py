"""Messages leave exactly once in effect, in order, through a receiver that fails in every way it can."""

import base64
import contextlib
import hashlib
import hmac
import json
import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from models.domain import DecisionDraft, EvidenceAsk, RequestText
from models.errors import InputError
from models.vocabulary import Party, Platform, Ruling
from serving.courier import Courier, sign, signing_key
from serving.desk_records import NoticeText
from serving.house import House, build_house
from serving.records import CaseKey, Role, WithdrawalDraft
from serving.settings import Settings
from serving.store import outbox
from serving.tables import outbox as messages
from tests.builders import build_case
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.conftest import user_of

SECRET = "a secret of twenty-four characters"


class Receiver:
    """Deals with each webhook-id once, as a receiver should. failures : answers given instead of 200, in turn"""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.effects: list[dict[str, Any]] = []
        self.seen: set[str] = set()
        self.n_requests = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.n_requests += 1
                how = receiver.failures.pop(0) if receiver.failures else "ok"
                if how in ("ok", "answer lost", "slow", "endless"):
                    receiver.take(dict(self.headers), body)
                if how == "slow":
                    time.sleep(1.0)
                if how == "answer lost":
                    self.connection.close()
                    return
                self.send_response({"500": 500, "400": 400, "302": 302}.get(how, 200))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for _ in range(100 if how == "endless" else 0):
                        self.wfile.write(b".")
                        time.sleep(0.1)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def take(self, headers: dict[str, str], body: bytes) -> None:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        if headers["webhook-id"] not in self.seen:
            self.seen.add(headers["webhook-id"])
            self.effects.append(json.loads(body))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def courier(house: House, receiver: Receiver) -> Courier:
    return Courier(
        house.store.outbox, url=receiver.url, key=SECRET.encode(), attempts=50, timeout_s=0.5, first_retry_s=0.0
    )


def decide(house: House, case_id: str, ruling: Ruling = Ruling.REFUND) -> CaseKey:
    key = CaseKey(Platform.TAOBAO, case_id)
    house.store.take_in(build_case(case_id=case_id), by=user_of(house, Role.SERVICE))
    draft = DecisionDraft(ruling=ruling)
    house.store.decide(key, draft, by=user_of(house, Role.LEAD), input_digest="sha256:0")
    return key


def deliver_all(courier: Courier, *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while courier.outbox.counts()["waiting"] and time.monotonic() < deadline:
        courier.deliver_one()


def test_each_message_takes_effect_once_and_in_order(house: House, courier: Courier, receiver: Receiver) -> None:
    rng = random.Random(0)
    receiver.failures = [*rng.choices(["ok", "500", "400", "302", "answer lost"], k=60), "slow"]
    for place in range(8):
        key = decide(house, f"case-{place}")
        house.store.withdraw(key, WithdrawalDraft(), by=user_of(house, Role.LEAD))
    deliver_all(courier)
    assert courier.outbox.counts() == {"waiting": 0, "delivered": 16, "failed": 0}
    assert receiver.n_requests > 16
    for place in range(8):
        told = [effect["type"] for effect in receiver.effects if effect["subject"] == f"taobao/case-{place}"]
        assert told == ["decision", "withdrawal"]


def test_a_request_for_evidence_is_told_with_the_decision_and_says_what_of_whom(
    house: House, courier: Courier, receiver: Receiver
) -> None:
    ask = EvidenceAsk(party=Party.SELLER, what="proof_of_sign_off", text=RequestText(zh="请上传签收凭证", en="Proof?"))
    key = CaseKey(Platform.TAOBAO, "case-asked")
    house.store.take_in(build_case(case_id=key.case_id), by=user_of(house, Role.SERVICE))
    draft = DecisionDraft(ruling=Ruling.REQUEST_EVIDENCE, request=ask)
    house.store.decide(key, draft, by=user_of(house, Role.LEAD), input_digest="sha256:0")
    deliver_all(courier)
    assert sorted(effect["type"] for effect in receiver.effects) == ["decision", "evidence_request"]
    (asked,) = [effect["data"] for effect in receiver.effects if effect["type"] == "evidence_request"]
    assert (asked["party"], asked["what"]) == ("seller", "proof_of_sign_off")


def test_two_couriers_make_no_effect_twice(house: House, courier: Courier, receiver: Receiver) -> None:
    for place in range(10):
        decide(house, f"case-{place}")
    threads = [threading.Thread(target=deliver_all, args=(courier,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(effect["subject"] for effect in receiver.effects) == sorted(f"taobao/case-{n}" for n in range(10))
    assert receiver.n_requests == 10


def test_a_change_that_did_not_happen_sends_nothing(house: House) -> None:
    with contextlib.suppress(ZeroDivisionError), house.store.database.write() as connection:
        outbox.put(connection, "decision", subject="taobao/1", body=build_case(), at=build_case().opened_at)
        raise ZeroDivisionError
    assert house.store.outbox.counts()["waiting"] == 0


def test_a_message_is_given_up_after_its_attempts_and_can_be_tried_again(
    house: House, courier: Courier, receiver: Receiver
) -> None:
    courier.attempts = 3
    receiver.failures = ["500"] * 3
    decide(house, "case-1")
    deliver_all(courier)
    assert (receiver.n_requests, courier.outbox.counts()["failed"]) == (3, 1)
    assert courier.outbox.try_failed_again(by="system:test") == 1
    deliver_all(courier)
    assert [effect["type"] for effect in receiver.effects] == ["decision"]


def test_a_message_given_up_holds_up_those_after_it_and_no_other_case(
    house: House, courier: Courier, receiver: Receiver
) -> None:
    def work() -> list[tuple[str, str]]:
        while courier.deliver_one():
            pass
        return [(effect["subject"], effect["type"]) for effect in receiver.effects]

    courier.attempts, receiver.failures = 1, ["500"]
    key = decide(house, "case-1")
    assert work() == []
    house.store.withdraw(key, WithdrawalDraft(), by=user_of(house, Role.LEAD))
    decide(house, "case-2")
    assert work() == [("taobao/case-2", "decision")]
    assert courier.outbox.counts() == {"waiting": 1, "delivered": 1, "failed": 1}
    assert courier.outbox.try_failed_again(by="system:test") == 1
    assert work()[1:] == [("taobao/case-1", "decision"), ("taobao/case-1", "withdrawal")]


def test_a_message_whose_courier_died_is_delivered_by_the_next(
    house: House, courier: Courier, receiver: Receiver
) -> None:
    decide(house, "case-1")
    taken = courier.outbox.take(hold=timedelta(seconds=60))
    assert taken is not None
    assert courier.deliver_one() is False
    with house.store.database.alter() as connection:
        connection.execute(messages.update().values(next_at=taken.created_at))
    deliver_all(courier)
    courier.outbox.put_back(taken, problem="late", wait=None)
    assert courier.outbox.counts() == {"waiting": 0, "delivered": 1, "failed": 0}


def test_a_notice_leaves_when_it_is_sent(house: House, courier: Courier, receiver: Receiver) -> None:
    lead, key = user_of(house, Role.LEAD), CaseKey(Platform.TAOBAO, "case-1")
    house.store.take_in(build_case(case_id="case-1"), by=user_of(house, Role.SERVICE))
    house.store.decide(
        key,
        DecisionDraft(ruling=Ruling.DISMISS),
        by=lead,
        input_digest="sha256:0",
        write_notice=lambda _: NoticeText(zh="驳回", en="dismissed"),
    )
    deliver_all(courier)
    (notice,) = house.store.desk.notices(key)
    house.store.desk.send_notice(key, notice.notice_id, by=lead)
    deliver_all(courier)
    assert [effect["type"] for effect in receiver.effects] == ["decision", "notice"]
    assert receiver.effects[1]["data"]["text"] == {"zh": "驳回", "en": "dismissed"}


def test_an_answer_without_an_end_holds_up_no_other_message(house: House, courier: Courier, receiver: Receiver) -> None:
    for case_id in ("TB-1", "TB-2"):
        decide(house, case_id)
    receiver.failures = ["endless"] * 2
    began = time.monotonic()
    deliver_all(courier)
    assert time.monotonic() - began < 5
    assert {effect["subject"] for effect in receiver.effects} == {"taobao/TB-1", "taobao/TB-2"}


def test_a_secret_of_standard_webhooks_signs_as_its_own_example_does() -> None:
    signature = sign(
        signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", [None, SecretStr("whsec_no base64, but long enough")])
def test_a_webhook_without_a_secret_to_sign_with_opens_nothing(settings: Settings, secret: SecretStr | None) -> None:
    changed = {"webhook_url": "https://x.example", "webhook_secret": secret, "database_url": "sqlite:////nowhere/x.db"}
    with pytest.raises(InputError, match="webhook_secret"):
        build_house(settings.model_copy(update=changed))
