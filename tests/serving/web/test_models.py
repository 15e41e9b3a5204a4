"""The models page: read by leads, auditors and engineers, moved by leads and engineers, refusals in plain words."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import Page, expect

from models.registry import ModelRegistry
from serving.house import House
from serving.records import RetrainingJob, Role
from tests.registries import REPORT_PAGE
from tests.serving.conftest import user_of
from tests.serving.web.test_desk import csrf, sign_in


def test_who_may_see_and_who_may_move(client: TestClient, house: House, registry: ModelRegistry) -> None:
    sign_in(client, house)
    assert client.get("/models").status_code == 403
    client.cookies.clear()
    sign_in(client, house, Role.AUDITOR)
    page = client.get("/models").text
    assert ("盲审或申诉案件 240 件" in page, "将模型 2 设为现任" in page) == (True, False)
    form = {"csrf_token": csrf(client, "/models"), "instead_of": "1", "promote": "2", "reason": "x"}
    assert client.post("/models/move", data=form).status_code == 403
    client.cookies.clear()
    sign_in(client, house, Role.ENGINEER)
    assert client.get("/", follow_redirects=False).headers["location"] == "/models"
    assert "将模型 2 设为现任" in client.get("/models").text


def test_a_lead_promotes_and_rolls_back_and_refusals_are_said(
    client: TestClient, house: House, registry: ModelRegistry
) -> None:
    sign_in(client, house, Role.LEAD)
    form = {"csrf_token": csrf(client, "/models"), "instead_of": "1", "reason": "更准"}
    assert "请写明原因" in client.post("/models/move", data={**form, "promote": "2", "reason": " "}).text
    assert "没有通过评审" in client.post("/models/move", data={**form, "promote": "4"}).text
    assert client.post("/models/move", data={"instead_of": "1", "promote": "2", "reason": "x"}).status_code == 403
    done = client.post("/models/move", data={**form, "promote": "2"}, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/models")
    assert "晋级: 1 → 2" in client.get("/models").text
    twice = client.post("/models/move", data={**form, "promote": "3"})
    assert (twice.status_code, "现任模型已变为 2（页面上是 1）" in twice.text) == (409, True)
    client.post("/models/move", data={**form, "instead_of": "2"})
    assert "回退: 2 → 1" in client.get("/models").text


def test_the_gates_report_opens_without_scripts_or_anything_of_this_site(
    client: TestClient, house: House, registry: ModelRegistry
) -> None:
    sign_in(client, house, Role.LEAD)
    answer = client.get("/models/2/report")
    policy = answer.headers["content-security-policy"]
    assert answer.content == REPORT_PAGE
    assert ("sandbox" in policy, "script-src" in policy, "default-src 'none'" in policy) == (True, False, True)
    assert client.get("/models/1/report").status_code == 404


def test_a_registry_that_is_away_leaves_the_page_readable(client: TestClient, house: House) -> None:
    house.models.registry_uri = "http://127.0.0.1:9"
    sign_in(client, house, Role.LEAD)
    page = client.get("/models")
    assert (page.status_code, "注册库现在没有响应" in page.text) == (200, True)
    house.models.registry_uri = None
    assert "固定的模型文件夹" in client.get("/models").text


def test_a_retraining_is_started_and_cancelled_from_the_page(client: TestClient, house: House) -> None:
    sign_in(client, house, Role.LEAD)
    form = {"csrf_token": csrf(client, "/models")}
    client.post("/models/retraining", data=form)
    assert "等待执行" in client.get("/models").text
    second = client.post("/models/retraining", data=form)
    assert (second.status_code, "test-lead 发起的再训练正在进行" in second.text) == (409, True)
    (asked,) = house.store.retrainings.newest()
    client.post("/models/retraining", data={**form, "cancel": str(asked.retraining_id)})
    assert "已取消" in client.get("/models").text


@pytest.fixture
def under_way(scoring_house: House) -> RetrainingJob:
    """A retraining that some other worker runs; before the service starts, which would run it."""
    scoring_house.store.retrainings.ask(by=user_of(scoring_house, Role.LEAD))
    job = scoring_house.store.retrainings.lease(worker="w", lease_s=600)
    assert job is not None
    return job


def test_the_shadow_is_switched_on_and_off_from_the_page(
    client: TestClient, house: House, registry: ModelRegistry
) -> None:
    sign_in(client, house, Role.LEAD)
    assert "没有候选模型" in client.get("/models").text
    registry.set_challenger(2)
    form = {"csrf_token": csrf(client, "/models")}
    client.post("/models/shadow", data={**form, "on": "1"})
    assert "test-lead 于" in client.get("/models").text
    assert house.store.shadows.state().on
    client.post("/models/shadow", data={**form, "on": "0"})
    assert not house.store.shadows.state().on


def test_in_a_browser_progress_is_told_and_the_page_has_no_axe_findings(
    under_way: RetrainingJob,
    signed_in_page: Callable[..., Page],
    scoring_house: House,
    address: str,
    registry: ModelRegistry,
) -> None:
    house, job = scoring_house, under_way
    registry.set_challenger(3)
    house.store.shadows.switch(on=True, by=user_of(house, Role.LEAD))
    page = signed_in_page("lead", Role.LEAD)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.goto(f"{address}/models")
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], theme
    house.store.retrainings.keep(job, ["scored 32 of 640 cases"], lease_s=600)
    expect(page.locator("#retraining-said")).to_have_text("scored 32 of 640 cases", timeout=30_000)
    house.store.retrainings.end(job, ["passed the gate on 60 cases"], worker="w")
    expect(page.locator("#retraining")).to_have_count(0, timeout=30_000)
    page.locator("#why-2").fill("盲审更准")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    champion = registry.named("champion")
    assert champion is not None
    assert champion.number == 2
