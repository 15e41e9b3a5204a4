"""What is one's own on the desk is the same by API and by page; what helps with a case is hidden where it must be."""

from fastapi.testclient import TestClient

from models.vocabulary import Platform
from serving.app import create_app
from serving.case_files import read_case_file
from serving.house import House, build_house
from serving.records import CaseKey, Role
from serving.settings import Settings
from tests.builders import photo_bytes
from tests.serving.api.test_desk import decide, person, take_in
from tests.serving.conftest import Headers, user_of
from tests.suggesters import build_suggester

VIEWS = "/api/v1/desk/views"
SHORTCUTS = "/api/v1/desk/shortcuts"


def test_a_view_is_kept_replaced_listed_and_deleted_for_its_owner_alone(client: TestClient, house: House) -> None:
    me, other = person(house, "me"), person(house, "other")
    for filters in ({"claim": "damaged"}, {"claim": "counterfeit", "search": "茅台 & 酒", "overdue": "1"}):
        kept = client.put(f"{VIEWS}/我的/急件", json={"filters": filters}, headers=me)
        assert (kept.status_code, kept.json()) == (200, {"name": "我的/急件", "filters": filters})
    assert client.get(VIEWS, headers=me).json() == [kept.json()]
    assert client.get(VIEWS, headers=other).json() == []
    assert client.delete(f"{VIEWS}/我的/急件", headers=other).status_code == 404
    assert client.delete(f"{VIEWS}/我的/急件", headers=me).status_code == 204
    assert client.get(VIEWS, headers=me).json() == []


def test_a_view_saved_on_the_page_is_listed_with_what_a_filter_can_hold(client: TestClient, house: House) -> None:
    query = "claim=damaged&search=%00" + "x" * 200 + "&colour=red&min="
    house.store.desk.keep_preference("旧的", query, of=user_of(house, Role.ARBITRATOR, name="me"), kind="view")
    (view,) = client.get(VIEWS, headers=person(house, "me")).json()
    assert view == {"name": "旧的", "filters": {"claim": "damaged", "search": "x" * 128}}


def test_an_unknown_filter_is_named(client: TestClient, house: House) -> None:
    refused = client.put(f"{VIEWS}/x", json={"filters": {"colour": "red"}}, headers=person(house, "me"))
    assert refused.status_code == 422
    assert "colour" in refused.text


def test_keys_are_chosen_whole_and_a_doubled_or_unknown_one_changes_nothing(client: TestClient, house: House) -> None:
    me = person(house, "me")
    chosen = client.put(SHORTCUTS, json={"keys": {"ruling.dismiss": "F2"}}, headers=me).json()["keys"]
    assert (chosen["ruling.dismiss"], chosen["next"]) == ("F2", "KeyN")
    for keys, field in (({"next": "KeyQ"}, "next"), ({"fly": "F3"}, "keys.fly"), ({"next": "Escape"}, "next")):
        refused = client.put(SHORTCUTS, json={"keys": keys}, headers=me)
        assert (refused.status_code, field in refused.text) == (422, True)
    assert client.get(SHORTCUTS, headers=me).json()["keys"] == chosen
    assert client.put(SHORTCUTS, json={"keys": {}}, headers=me).json()["keys"]["ruling.dismiss"] == "KeyT"


def test_comparable_rulings_are_the_ones_on_the_page(client: TestClient, house: House, service: Headers) -> None:
    me = person(house, "me")
    for name in ("TB-1", "TB-2"):
        decide(client, take_in(client, service, name), me, ruling="refund")
    found = client.get(f"{take_in(client, service, 'TB-3')}/precedents", headers=me).json()
    assert {one["case_id"] for one in found["nearest"]} == {"TB-1", "TB-2"}
    assert found["usual"] == "refund"


def test_a_heat_map_is_a_picture_and_hidden_while_the_case_is_blind(settings: Settings) -> None:
    for blind_share, status in ((0.0, 200), (1.0, 404)):
        house = build_house(settings.model_copy(update={"blind_share": blind_share}), build_suggester())
        client = TestClient(create_app(house.settings, house=house))
        name = f"TB-{status}"
        one = take_in(client, person(house, "intake", Role.SERVICE), name)
        key = CaseKey(Platform.TAOBAO, name)
        house.store.add_photo(key, "p1", house.photo_intake.keep(photo_bytes()), by=user_of(house, Role.SERVICE))
        version = house.store.version(key)
        house.store.keep_suggestion(
            version, house.scoring.suggest(read_case_file(version, house.photos)), by="system:test"
        )
        answer = client.get(f"{one}/heat-maps/p1", headers=person(house, "me"))
        assert answer.status_code == status
        if status == 200:
            assert answer.content.startswith(b"\x89PNG")
        assert client.get(f"{one}/heat-maps/none", headers=person(house, "me")).status_code == 404
        house.store.close()


def test_skips_and_recusals_are_listed_for_those_who_oversee(
    client: TestClient, house: House, service: Headers
) -> None:
    one, me = take_in(client, service, "TB-1"), person(house, "me")
    client.post(f"{one}/recusal", json={"reason": "认识卖家"}, headers=me)
    (passed,) = client.get("/api/v1/passes", headers=person(house, "lead", Role.LEAD)).json()
    assert (passed["case_id"], passed["kind"], passed["reason"], passed["by"]) == ("TB-1", "recusal", "认识卖家", "me")
    assert client.get("/api/v1/passes", headers=me).status_code == 403
