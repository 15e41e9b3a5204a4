"""What is erased is in no file any more: not in the database's own, nor in photos, backlogs or exported outcomes."""

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.errors import InputError
from models.integrity import IntegrityReport, ReusedPhoto
from models.vocabulary import Platform, Ruling
from serving.api.documents import EXAMPLE_DECISION
from serving.app import create_app
from serving.audit import Verified
from serving.auth import SESSION_COOKIE
from serving.erasure import Erased, Target
from serving.export import export_outcomes
from serving.house import House
from serving.records import CaseKey, CaseStatus, Role
from serving.refusals import CaseUnderWayError, LeaseLostError, UnknownError
from serving.store import copying
from tests.builders import photo_bytes
from tests.serving.conftest import headers_of, keyed, user_of
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.store.overtaking import overtaken
from tests.serving.used import BUYER, KEY, ONE, OTHER, SECRETS, secret_case, use_everything


@pytest.fixture
def whole(scoring_house: House) -> TestClient:
    """A service that holds the secrets wherever they can be held."""
    return use_everything(scoring_house)


def held(house: House, folder: Path, *secrets: str) -> dict[str, list[str]]:
    """Return which secrets stand in which file, in any form: as bytes, or in a row of PostgreSQL."""
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if not house.store.database.is_sqlite:
        with house.store.database.read() as connection:
            for name in copying.table_names():
                rows = list(copying.rows_of(connection, name))
                contents[name] = json.dumps(rows, ensure_ascii=False).encode()
    found = {name: [s for s in secrets or SECRETS if s.encode() in data] for name, data in contents.items()}
    return {name: words for name, words in found.items() if words}


def test_after_an_erasure_no_file_holds_any_of_it(
    whole: TestClient, scoring_house: House, tmp_path: Path, database_kind: str
) -> None:
    house = scoring_house
    old = export_outcomes(house.store, house.photo_intake, house.settings.outcomes_dir, by="system:test")
    before = held(house, tmp_path)
    assert set(SECRETS) == {secret for secrets in before.values() for secret in secrets}
    head = house.store.audit_head()
    said = house.store.newest_suggestion(house.store.version(KEY))
    assert said is not None
    done = house.eraser().erase(Target(*KEY), by="test-lead", reason="asked by 13800138000")
    assert (done.n_cases, done.n_photos, len(done.jobs), done.is_whole) == (1, 1, 1, True)
    assert held(house, tmp_path, *SECRETS, said.suggestion_id, said.input_digest) == {}
    found = house.store.verify_audit(heads=[head])
    assert isinstance(found, Verified)
    assert found.n_erased > 5
    entry = next(event for event in house.store.audit_trail() if event.action == "content_erased")
    assert (entry.actor, entry.detail["reason"]) == ("test-lead", "asked by [phone]")
    assert [(one.name, bool(one.replaced_by)) for one in done.revoked] == [(old.name, True)]


def test_what_is_left_says_only_how_a_case_of_that_kind_was_ruled(whole: TestClient, scoring_house: House) -> None:
    house = scoring_house
    before = house.store.oversight.figures(days=1)
    house.eraser().erase(Target(*KEY), by="test-lead", reason="asked")
    lead = headers_of(house, Role.LEAD)
    rows = whole.get("/api/v1/cases?status=erased", headers=lead).json()["cases"]
    assert [(row["claim"], row["paid_minor"], row["title"]) for row in rows] == [("damaged", 5900, "")]
    view = whole.get(f"/api/v1/cases/taobao/{rows[0]['case_id']}", headers=lead).json()
    assert view["case"]["order"]["buyer_id"] != BUYER
    assert view["case"]["chat"] == view["case"]["photos"] == view["photos"] == []
    assert [record["decision"]["ruling"] for record in view["decisions"]][-1] == Ruling.REFUND
    after = house.store.oversight.figures(days=1)
    assert after.model_copy(update={"since": before.since}) == before
    assert whole.get(ONE, headers=lead).status_code == 404
    assert whole.get(f"{OTHER}/photos/p1?size=original", headers=lead).content == photo_bytes(seed=1)


def test_the_page_of_an_erased_case_shows_what_is_left_and_offers_nothing(
    whole: TestClient, scoring_house: House
) -> None:
    house = scoring_house
    house.eraser().erase(Target(*KEY), by="test-lead", reason="asked")
    link = house.gatekeeper.make_link(user_of(house, Role.LEAD), by="system:test")
    whole.cookies.set(SESSION_COOKIE, house.gatekeeper.sign_in_by_link(link))
    queue = whole.get("/?status=erased")
    path = re.search(r"/cases/taobao/erased-\w+", queue.text)
    assert path is not None
    page = whole.get(path[0])
    assert page.status_code == 200
    assert "内容已删除" in page.text
    assert "/withdraw" not in page.text
    assert "/appeal" not in page.text


def test_an_erasure_that_was_cut_off_is_ended_by_the_same_call(
    whole: TestClient, scoring_house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eraser = scoring_house.eraser()

    def cut_off() -> bool:
        raise KeyboardInterrupt

    for part, name in ((scoring_house.photos, "remove_unnamed"), (scoring_house.store.erasures, "scrub")):
        with monkeypatch.context() as now:
            now.setattr(part, name, lambda *_: cut_off())
            with pytest.raises(KeyboardInterrupt):
                eraser.erase(Target(*KEY), by="test-lead", reason="asked")
    with pytest.raises(UnknownError):
        eraser.erase(Target(*KEY), by="test-lead", reason="asked")
    assert held(scoring_house, tmp_path) == {}


def test_nothing_more_can_be_done_with_an_erased_case(whole: TestClient, scoring_house: House) -> None:
    house = scoring_house
    version = house.store.version(KEY)
    suggestion = house.store.newest_suggestion(version)
    house.eraser().erase(Target(*KEY), by="test-lead", reason="asked")
    lead = headers_of(house, Role.LEAD)
    left = whole.get("/api/v1/cases?status=erased", headers=lead).json()["cases"][0]["case_id"]
    path = f"/api/v1/cases/taobao/{left}"
    answers = [
        whole.post(f"{path}/decision", json=EXAMPLE_DECISION, headers=keyed(lead)),
        whole.post(f"{path}/decision/withdraw", json={"stage": "appeal"}, headers=lead),
        whole.post(f"{path}/evidence", json={"chat": []}, headers=headers_of(house, Role.SERVICE)),
        whole.post(f"{path}/hold", headers=lead),
        whole.post(f"{path}/corrections", json={"kind": "statement", "ref": "buyer_statement",
                   "label": "claims_damage", "holds": True}, headers=lead),
    ]  # fmt: skip
    assert {(answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]) for answer in answers} == {
        (409, "case-erased")
    }
    assert suggestion is not None
    assert house.store.keep_suggestion(version, suggestion, by="system:late") is False


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("during", [False, True])
def test_a_look_at_the_photos_that_an_erasure_overtakes_writes_nothing_back(
    whole: TestClient, scoring_house: House, tmp_path: Path, during: bool
) -> None:
    house = scoring_house
    version = house.store.version(KEY)
    other = ReusedPhoto(
        ref="photo-secret", other_platform="taobao", other_case_id="TB-2026-000123", other_ref="p1", same_buyer=False,
        same_seller=True, overlap=1, mirrored=False,
    )  # fmt: skip
    report = IntegrityReport(findings=(other,), checked=("reused_photo",))

    def erase() -> None:
        house.eraser().erase(Target(*KEY), by="test-lead", reason="asked")

    def keep() -> None:
        house.store.photo_checks.keep(version, report, by="system:late")

    if during:
        assert overtaken(house, erase, keep, at="UPDATE cases") == (None, None)
    else:
        erase()
        keep()
    assert house.store.photo_checks.report_on(version) is None
    assert [entry for entry in house.store.audit_trail() if entry.actor == "system:late"] == []
    assert held(house, tmp_path) == {}


def test_an_export_under_way_keeps_nothing_of_a_case_that_is_erased_meanwhile(
    whole: TestClient, scoring_house: House, tmp_path: Path
) -> None:
    house = scoring_house

    def export() -> Path:
        return export_outcomes(house.store, house.photo_intake, house.settings.outcomes_dir, by="test-lead")

    def erase() -> bool:
        return house.eraser().erase(Target(*KEY), by="test-lead", reason="asked").is_whole

    written, is_whole = overtaken(house, export, erase, at="SELECT corrections")
    assert isinstance(written, Path)
    assert is_whole is True
    assert not written.exists()
    assert held(house, tmp_path) == {}


def test_an_export_begun_from_nothing_keeps_nothing_of_a_case_that_is_just_being_erased(
    whole: TestClient, scoring_house: House, tmp_path: Path
) -> None:
    house = scoring_house
    outcomes = house.settings.outcomes_dir
    assert not outcomes.exists()

    def export() -> Path:
        return export_outcomes(house.store, house.photo_intake, outcomes, by="test-lead")

    def erase() -> Erased:
        return house.eraser().erase(Target(*KEY), by="test-lead", reason="asked")

    done, written = overtaken(house, erase, export, at="UPDATE cases")
    assert (done.is_whole, [one.name for one in done.revoked]) == (True, [written.name])
    assert not written.exists()
    assert held(house, tmp_path) == {}


def test_where_nothing_was_exported_an_erasure_makes_no_folder_for_exports(
    whole: TestClient, scoring_house: House, tmp_path: Path
) -> None:
    eraser = scoring_house.eraser()
    (tmp_path / "file").touch()
    eraser.outcomes_dir = tmp_path / "file" / "outcomes"
    assert eraser.erase_cases([], by="system:retention", reason="kept for 9 days").is_whole
    assert eraser.erase(Target(*KEY), by="test-lead", reason="asked").is_whole


def test_a_worker_that_scored_an_erased_case_finds_its_lease_lost(scoring_house: House) -> None:
    house = scoring_house
    client = TestClient(create_app(house.settings, house=house))
    client.post("/api/v1/cases", json=secret_case(photos=[], chat=[]), headers=headers_of(house, Role.SERVICE))
    job = house.store.score_queue.lease(worker="w", lease_s=60)
    assert job is not None
    user_of(house, Role.LEAD)
    house.eraser().erase(Target(*KEY), by="test-lead", reason="asked", under_way_too=True)
    with pytest.raises(LeaseLostError):
        house.store.score_queue.fail(job, "late", worker="w", retry_in_s=1)


def test_a_case_under_way_stays_and_is_named(scoring_house: House) -> None:
    house = scoring_house
    client = TestClient(create_app(house.settings, house=house))
    client.post("/api/v1/cases", json=secret_case(photos=[], chat=[]), headers=headers_of(house, Role.SERVICE))
    user_of(house, Role.LEAD)
    done = house.eraser().erase(Target(Platform.TAOBAO, BUYER, "buyer"), by="test-lead", reason="asked")
    assert (done.n_cases, done.left, done.is_whole) == (0, {KEY: "it is open"}, False)
    with pytest.raises(CaseUnderWayError):
        house.store.erasures.erase(KEY, by="test-lead", reason="asked")
    client.post(f"{ONE}/decision", json=EXAMPLE_DECISION, headers=keyed(headers_of(house, Role.ARBITRATOR)))
    assert house.store.erasures.why_not_yet(KEY, delivering=False) == "its notice hasn't left"
    notice = house.store.desk.notices(KEY)[0]
    house.store.desk.send_notice(KEY, notice.notice_id, by=user_of(house, Role.LEAD))
    assert house.store.erasures.why_not_yet(KEY, delivering=True) == "messages about it wait to be delivered"
    assert house.store.erasures.why_not_yet(KEY, delivering=False) is None


def test_a_party_goes_with_all_of_its_cases_and_no_others(whole: TestClient, scoring_house: House) -> None:
    house = scoring_house
    case = secret_case(case_id="TB-SECRET-12", order={**secret_case()["order"], "buyer_id": f"{BUYER}-2"})
    whole.post("/api/v1/cases", json=case, headers=headers_of(house, Role.SERVICE))
    done = house.eraser().erase(Target.parse(f"buyer:taobao/{BUYER}"), by="test-lead", reason="asked")
    assert done.n_cases == 1
    assert house.store.counts()[CaseStatus.ERASED] == 1
    assert house.store.version(CaseKey(Platform.TAOBAO, "TB-SECRET-12")).case.buyer_statement


def test_who_answers_for_it_must_be_known_and_so_must_the_target(scoring_house: House) -> None:
    user_of(scoring_house, Role.LEAD)
    eraser = scoring_house.eraser()
    with pytest.raises(UnknownError):
        eraser.erase(Target(*KEY), by="nobody", reason="asked")
    with pytest.raises(UnknownError):
        eraser.erase(Target(*KEY), by="test-lead", reason="asked")
    with pytest.raises(InputError):
        eraser.erase(Target(*KEY), by="test-lead", reason=" ")


@pytest.mark.parametrize("text", ["TB-1", "nowhere/TB-1", "buyer:b-77", "courier:taobao/c-1", "taobao/"])
def test_a_target_that_names_no_case_and_no_party_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Target.parse(text)


def test_a_case_id_may_hold_slashes() -> None:
    assert Target.parse("taobao/TB/1") == Target(Platform.TAOBAO, "TB/1")
