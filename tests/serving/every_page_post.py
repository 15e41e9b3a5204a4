"""Every POST of the pages, by each button that changes something, in an order in which all of them succeed."""

import re
from collections.abc import Callable

import httpx
from fastapi.testclient import TestClient

from models.vocabulary import Platform
from serving.api.documents import EXAMPLE_CASE
from serving.house import House
from serving.records import CaseKey, Role
from tests.serving.conftest import headers_of, user_of

PASSWORD = "correct horse battery staple"
ONE = "/cases/{platform}/{case_id:path}"
Press = Callable[..., httpx.Response]
"""(role or None for a stranger, path template, case id if it has one, **fields) -> the answer, of status below 400"""


def press_everything(house: House, client: TestClient, press: Press) -> None:
    """Call `press` for each; the service needs a model and a registry whose second model may be promoted.

    client : files the cases by the API
    """
    one, other, third = "TB-ONE", "TB-OTHER", "TB-THIRD"
    for case_id in (one, other, third):
        case = {**EXAMPLE_CASE, "case_id": case_id}
        assert client.post("/api/v1/cases", json=case, headers=headers_of(house, Role.SERVICE)).status_code == 201
    _sign_in(house, press)
    _keep_own(press)
    _set_aside(press, one, other, third)
    _decide(house, press, one)
    _lead(house, press)
    _move_models(house, press)
    press(Role.ARBITRATOR, "/sign-out")


def _sign_in(house: House, press: Press) -> None:
    link = house.gatekeeper.make_link(user_of(house, Role.AUDITOR), by="system:test", kind="set_up")
    press(None, "/set-up", token=link, password=PASSWORD, again=PASSWORD)
    press(None, "/sign-in", name="test-auditor", password=PASSWORD)


def _keep_own(press: Press) -> None:
    press(Role.ARBITRATOR, "/language", language="en")
    press(Role.ARBITRATOR, "/views", name="mine", query="claim=damaged")
    press(Role.ARBITRATOR, "/views", delete="mine")
    press(Role.ARBITRATOR, "/shortcuts", **{"ruling.dismiss": "F2"})


def _set_aside(press: Press, one: str, other: str, third: str) -> None:
    press(Role.LEAD, "/next")
    for case_id in (one, other, third):
        press(Role.LEAD, f"{ONE}/hold", case_id)
        press(Role.LEAD, f"{ONE}/hold", case_id)
        press(Role.LEAD, f"{ONE}/aside", case_id, how="release")
    press(Role.ARBITRATOR, f"{ONE}/aside", other, how="skip", reason="需要懂珠宝鉴定的同事")
    press(Role.ARBITRATOR, f"{ONE}/aside", third, how="recuse", reason="认识卖家")


def _decide(house: House, press: Press, one: str) -> None:
    key = CaseKey(Platform.TAOBAO, one)
    ref = EXAMPLE_CASE["chat"][0]["message_id"]
    press(Role.ARBITRATOR, f"{ONE}/correct", one, kind="statement", ref=ref, label="claims_damage")
    made = house.store.desk.corrections(key)[0].correction_id
    press(Role.ARBITRATOR, f"{ONE}/correct", one, take_back=made)
    decision = {"version": "1", "ruling": "dismiss", "reason": "burden"}
    press(Role.ARBITRATOR, f"{ONE}/decision", one, **decision)
    press(Role.ARBITRATOR, f"{ONE}/withdraw", one, reason="看错了")
    press(Role.ARBITRATOR, f"{ONE}/decision", one, **decision, go_on="1")
    notice = house.store.desk.notices(key)[0].notice_id
    press(Role.ARBITRATOR, f"{ONE}/notice", one, notice_id=notice, zh="驳回", en="Dismissed")
    press(Role.ARBITRATOR, f"{ONE}/notice", one, notice_id=notice, zh="驳回。", en="Dismissed.", send="1")
    press(Role.ARBITRATOR, f"{ONE}/appeal", one, filed_by="seller", reason="有发货前视频")
    press(Role.LEAD, f"{ONE}/decision", one, **decision, stage="appeal")


def _lead(house: House, press: Press) -> None:
    assign = {"people": "test-arbitrator", "at_most": "5"}
    press(Role.LEAD, "/lead/assign", **assign)
    dealt = press(Role.LEAD, "/lead/assign", **assign, do="1").text
    found = re.search(r'name="undo" value="([^"]+)"', dealt)
    assert found is not None
    press(Role.LEAD, "/lead/assign", undo=found[1])
    press(Role.LEAD, "/lead/switch", claim="counterfeit", reason="正在查")
    press(Role.LEAD, "/lead/switch", on=house.store.desk.switches()[0].switch_id)


def _move_models(house: House, press: Press) -> None:
    press(Role.ENGINEER, "/models/move", instead_of="1", promote="2", reason="更准")
    press(Role.ENGINEER, "/models/move", instead_of="2", reason="改判变多")
    press(Role.ENGINEER, "/models/retraining")
    press(Role.ENGINEER, "/models/retraining", cancel=str(house.store.retrainings.newest()[0].retraining_id))
    press(Role.ENGINEER, "/models/shadow", on="1")
    press(Role.ENGINEER, "/models/shadow", on="0")
