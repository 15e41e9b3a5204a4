"""The lead's and the auditor's pages: read by both, changed by leads only."""

from fastapi.testclient import TestClient

from serving.house import House
from serving.records import Role
from tests.serving.web.test_desk import csrf, press, sign_in, take_in


def test_figures_and_the_log_are_for_leads_and_auditors(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house)
    press(client)
    assert client.get("/lead").status_code == 403
    client.cookies.clear()
    sign_in(client, house, Role.AUDITOR)
    assert "人独立（盲审）" in client.get("/lead").text
    assert "批量分配" not in client.get("/lead").text
    log = client.get("/decisions").text
    assert ("举证责任未完成" in log, "test-arbitrator" in log) == (True, True)
    assert client.post("/lead/switch", data={"csrf_token": csrf(client, "/lead"), "reason": "x"}).status_code == 403


def test_a_lead_previews_assigns_and_undoes_and_throws_the_switch(client: TestClient, house: House) -> None:
    take_in(client, house)
    sign_in(client, house, Role.LEAD)
    form = {"csrf_token": csrf(client, "/lead"), "people": "test-lead", "at_most": "10"}
    assert "分配这 1 件" in client.post("/lead/assign", data=form).text
    done = client.post("/lead/assign", data={**form, "do": "1"}).text
    batch = done.split('name="undo" value="')[1].split('"')[0]
    assert "→ test-lead" in client.get("/").text
    assert "已撤销 1 件" in client.post("/lead/assign", data={**form, "undo": batch}).text
    assert client.post("/lead/assign", data={**form, "people": "nobody"}).status_code == 422
    off = {"csrf_token": form["csrf_token"], "claim": "damaged", "reason": "复查"}
    assert client.post("/lead/switch", data=off, follow_redirects=False).status_code == 303
    assert (
        "主管已停用" in client.get("/cases/taobao/TB-2026-000123").text
        or "没有可用的模型" in client.get("/cases/taobao/TB-2026-000123").text
    )
    switch_id = client.get("/lead").text.split('name="on" value="')[1].split('"')[0]
    client.post("/lead/switch", data={**off, "on": switch_id}, follow_redirects=False)
    assert 'name="on"' not in client.get("/lead").text
