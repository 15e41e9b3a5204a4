"""The desk in a real browser: an arbitrator's day by keyboard, in both languages, alone and against a colleague."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from models.domain import DecisionDraft, parse_case
from models.vocabulary import Claim, Party, Platform, Ruling, StatementLabel
from serving.api.decisions import decide
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_EVIDENCE
from serving.case_files import read_case_file
from serving.desk_records import AppealDraft, CorrectionDraft, SwitchDraft
from serving.house import House, build_house
from serving.records import CaseKey, EvidenceDraft, Person, QueueFilter, Role
from serving.settings import Settings
from tests.builders import photo_bytes
from tests.serving.conftest import headers_of, user_of
from tests.serving.web.conftest import served
from tests.suggesters import build_suggester

SAMPLES = Path(__file__).parents[3] / "datasets" / "samples" / "cases.jsonl"
PASSWORD = "correct horse battery"
OpenPage = Callable[..., Page]


def take_in(house: House, case: dict[str, Any] = EXAMPLE_CASE, **changes: Any) -> CaseKey:
    """Take a case in with one photo, and score it."""
    parsed = parse_case({**case, **changes})
    filer = user_of(house, Role.SERVICE)
    house.store.take_in(parsed, by=filer)
    key = CaseKey(parsed.platform, parsed.case_id)
    if parsed.photos:
        house.store.add_photo(key, parsed.photos[0].photo_id, house.photo_intake.keep(photo_bytes()), by=filer)
    version = house.store.version(key)
    house.store.keep_suggestion(version, house.scoring.suggest(read_case_file(version, house.photos)), by="system:test")
    return key


def at_next_case(page: Page) -> Page:
    page.keyboard.press("n")
    page.wait_for_url("**/cases/**")
    return page


def decided(house: House) -> int:
    return sum(n for status, n in house.store.counts().items() if status not in ("open",))


def test_twenty_sample_cases_from_sign_in_to_decided_by_keyboard_alone(
    browser: Browser, address: str, scoring_house: House
) -> None:
    house = scoring_house
    house.gatekeeper.add_user("night-shift", role=Role.ARBITRATOR, password=PASSWORD, by="system:test")
    for line in SAMPLES.read_text(encoding="utf-8").splitlines()[:20]:
        house.store.take_in(parse_case(json.loads(line)), by=user_of(house, Role.SERVICE))
    page = browser.new_context(locale="zh-CN").new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}/sign-in")
    while page.evaluate("document.activeElement.name") != "name":
        page.keyboard.press("Tab")
    page.keyboard.type("night-shift")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")
    page.keyboard.press("n")
    page.wait_for_url("**/cases/**")
    keys = ("q", "w", "t", "r", "y")
    for n in range(20):
        before = page.url
        page.keyboard.press("2")
        with page.expect_navigation():
            page.keyboard.press(keys[n % len(keys)])
        while page.locator("#distinguishes").count():
            page.keyboard.type("此案买家有开箱视频")
            page.keyboard.press("Escape")
            with page.expect_navigation():
                page.keyboard.press(keys[n % len(keys)])
        assert page.url != before
        assert decided(house) == n + 1
    assert page.url.startswith(f"{address}/?")
    assert problems == []
    events = [entry.action for entry in house.store.audit_trail()]
    assert events.count("decided") == events.count("case_taken") == 20


def test_undo_by_key_reopens_the_case_just_decided(signed_in_page: OpenPage, scoring_house: House) -> None:
    key = take_in(scoring_house)
    page = at_next_case(signed_in_page())
    page.keyboard.press("1")
    with page.expect_navigation():
        page.keyboard.press("t")
    assert scoring_house.store.view(key).status == "decided"
    with page.expect_navigation():
        page.keyboard.press("z")
    view = scoring_house.store.view(key)
    assert (view.status, view.decisions[0].state) == ("open", "withdrawn")


def test_no_shortcut_fires_while_an_input_method_composes_or_inside_a_field(
    signed_in_page: OpenPage, scoring_house: House
) -> None:
    key = take_in(scoring_house)
    page = at_next_case(signed_in_page())
    composing = "{bubbles: true, cancelable: true, code: 'KeyT', key: 'Process', isComposing: true, keyCode: 229}"
    page.evaluate(f"document.body.dispatchEvent(new KeyboardEvent('keydown', {composing}))")
    note = page.locator("input[name=note]")
    note.focus()
    keyboard = page.context.new_cdp_session(page)
    for said in ("t", "tui", "推"):
        keyboard.send("Input.imeSetComposition", {"text": said, "selectionStart": len(said), "selectionEnd": len(said)})
    keyboard.send("Input.insertText", {"text": "退款有理"})
    page.keyboard.type("qwerty")
    assert note.input_value().startswith("退款有理")
    assert note.input_value().endswith("qwerty")
    assert scoring_house.store.view(key).decisions == ()
    page.keyboard.press("Escape")
    with page.expect_navigation():
        page.keyboard.press("t")
    (record,) = scoring_house.store.view(key).decisions
    assert "退款有理" in record.decision.reason


def test_of_two_browsers_on_one_case_one_wins_and_the_other_is_told_at_once(
    signed_in_page: OpenPage, scoring_house: House, address: str
) -> None:
    key = take_in(scoring_house)
    first, second = signed_in_page("first"), signed_in_page("second")
    for page in (first, second):
        page.goto(f"{address}/cases/{key}")
    with first.expect_navigation():
        first.keyboard.press("c")
    expect(second.locator("#live")).to_contain_text("first 正在处理此案", timeout=6000)
    second.keyboard.press("1")
    with second.expect_navigation():
        second.keyboard.press("t")
    expect(second.locator("p.notice").first).to_contain_text("first 正在处理此案")
    assert scoring_house.store.view(key).decisions == ()
    first.keyboard.press("1")
    with first.expect_navigation():
        first.keyboard.press("q")
    (record,) = scoring_house.store.view(key).decisions
    assert (record.decision.decided_by, record.decision.ruling) == ("first", "refund")


def test_new_evidence_is_announced_on_the_open_page_and_marked_after(
    signed_in_page: OpenPage, scoring_house: House, address: str
) -> None:
    key = take_in(scoring_house)
    page = signed_in_page()
    page.goto(f"{address}/cases/{key}")
    draft = EvidenceDraft.model_validate_json(json.dumps(EXAMPLE_EVIDENCE))
    scoring_house.store.add_evidence(key, draft, by=user_of(scoring_house, Role.SERVICE))
    expect(page.locator("#live")).to_contain_text("有新证据", timeout=6000)
    with page.expect_navigation():
        page.keyboard.press("g")
    expect(page.locator("#m-m2.new")).to_have_count(1)
    expect(page.locator("p.notice").first).to_contain_text("新消息 1 条 新照片 1 张")


def test_a_reason_leads_to_its_evidence_and_back_and_is_corrected_in_two_keys(
    signed_in_page: OpenPage, scoring_house: House
) -> None:
    key = take_in(scoring_house)
    page = at_next_case(signed_in_page())
    page.keyboard.press("j")
    while not page.evaluate("document.activeElement.querySelector('a').hash").startswith("#m-"):
        page.keyboard.press("j")
    page.keyboard.press("o")
    assert page.evaluate("document.activeElement.id").startswith("m-")
    page.keyboard.press("b")
    assert "piece" in page.evaluate("document.activeElement.className")
    page.keyboard.press("x")
    expect(page.locator(".piece.wrong")).to_have_count(1)
    (correction,) = scoring_house.store.desk.corrections(key)
    assert (correction.said.kind, correction.said.holds, correction.corrected_by) == ("statement", False, "arbitrator")


def test_a_label_that_the_machine_missed_is_added_in_two_keys_and_taken_back(
    signed_in_page: OpenPage, scoring_house: House
) -> None:
    key = take_in(scoring_house)
    page = at_next_case(signed_in_page())
    while page.evaluate("document.activeElement.id") != "m-m1":
        page.keyboard.press(".")
    page.keyboard.press("l")
    expect(page.locator("#labeler blockquote")).to_have_text(EXAMPLE_CASE["chat"][0]["text"])
    assert_accessible(page, "the labeler")
    page.keyboard.press("4")
    expect(page.locator("#m-m1 .said")).to_contain_text("少件 · arbitrator")
    (correction,) = scoring_house.store.desk.corrections(key)
    said = correction.said
    assert (said.ref, said.label, said.holds, correction.corrected_by) == ("m1", "claims_missing", True, "arbitrator")
    assert page.evaluate("document.activeElement.id") == "m-m1"
    expect(page.locator("input[name=reason]:checked")).to_have_count(0)
    page.locator("#m-m1 .said button").press("Enter")
    expect(page.locator("#m-m1 .said")).to_have_count(0)
    assert scoring_house.store.desk.corrections(key)[0].withdrawn_at is not None


def test_damage_is_marked_on_a_photo_by_one_drag_or_by_arrow_keys(
    signed_in_page: OpenPage, scoring_house: House
) -> None:
    key = take_in(scoring_house)
    page = at_next_case(signed_in_page())
    page.locator("#p-p1").focus()
    page.keyboard.press("d")
    assert_accessible(page, "the drawer")
    box = page.locator("#drawer .stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 3 / 4, steps=3)
    page.mouse.up()
    expect(page.locator("#p-p1 rect.drawn")).to_have_count(1)
    assert [one.said.region for one in scoring_house.store.desk.corrections(key)] == [(16, 24, 32, 36)]
    page.keyboard.press("d")
    for pressed in ("ArrowLeft", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(pressed)
    expect(page.locator("#p-p1 rect.drawn[x='15']")).to_have_count(1)
    assert [one.said.region for one in scoring_house.store.desk.corrections(key)][1:] == [(15, 24, 32, 36)]
    page.keyboard.press("d")
    page.keyboard.press("0")
    expect(page.locator("#p-p1 .said")).to_contain_text("无破损 · arbitrator")
    assert scoring_house.store.desk.corrections(key)[-1].said.damaged is False


def test_two_photos_share_one_zoom(signed_in_page: OpenPage, scoring_house: House) -> None:
    take_in(scoring_house)
    page = at_next_case(signed_in_page())
    page.keyboard.press("v")
    page.keyboard.press("=")
    page.keyboard.press("ArrowLeft")
    left, right = page.locator(".lens").evaluate_all("all => all.map(lens => lens.style.transform)")
    assert left == right == "translate(40px, 0px) scale(1.2)"
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()


def test_a_blind_case_holds_nothing_of_the_machine_before_commit(browser: Browser, settings: Settings) -> None:
    house = build_house(settings.model_copy(update={"blind_share": 1.0}), build_suggester())
    key = take_in(house)
    said = house.store.newest_suggestion(house.store.version(key))
    assert said is not None
    link = house.gatekeeper.make_link(user_of(house, Role.ARBITRATOR), by="system:test")
    with served(house) as address:
        page = browser.new_context(locale="zh-CN").new_page()
        page.goto(f"{address}/sign-in?token={link}")
        sources = [page.content()]
        page.keyboard.press("n")
        page.wait_for_url("**/cases/**")
        expect(page.get_by_text("此案先盲审")).to_be_visible()
        sources.append(page.content())
        person = headers_of(house, Role.ARBITRATOR)
        parts = ("", "/corrections", "/remedies", "/precedents", "/notices", "/photo-checks")
        for path in ("/api/v1/cases", *(f"/api/v1/cases/{key}{part}" for part in parts), f"/cases/{key}/state"):
            answer = page.request.get(address + path, headers=person)
            assert answer.status in (200, 404, 409), path
            sources.append(answer.text())
        assert_accessible(page, "a blind case")
        assert page.request.get(f"{address}/cases/{key}/heat?photo=p1").status == 404
        assert page.request.get(f"{address}/api/v1/cases/{key}/heat-maps/p1", headers=person).status == 404
        for source in sources:
            for word in (
                said.suggestion_id,
                "<mark",
                "<rect",
                "heat?photo",
                'class="piece',
                "个这样裁决",
                "prediction_set",
                '"suggested":true',
            ):
                assert word not in source
            assert f"{said.confidence * 100:.0f}%" not in source
        events = [entry.detail for entry in house.store.audit_trail(subject=str(key))]
        assert said.likeliest.value not in str(events)
        assert house.store.outbox.counts()["waiting"] == 0
        page.keyboard.press("1")
        with page.expect_navigation():
            page.keyboard.press("t")
        page.goto(f"{address}/cases/{key}")
        assert 'class="piece' in page.content()
        assert_accessible(page, "a blind case after the ruling")
    (record,) = house.store.view(key).decisions
    assert (record.decision.blind, record.decision.suggestion_shown) == (True, False)
    house.store.close()


@pytest.mark.parametrize(("scheme", "language"), [("light", "zh"), ("dark", "en")])
def test_axe_finds_nothing_to_complain_about(
    signed_in_page: OpenPage, scoring_house: House, address: str, scheme: str, language: str
) -> None:
    key, pages = a_days_pages(scoring_house)
    page = signed_in_page("lead", Role.LEAD, color_scheme=scheme)
    if language == "en":
        page.get_by_role("button", name="English").click()
    for path in pages:
        page.goto(address + path)
        assert_accessible(page, path)
    page.goto(f"{address}/cases/{key}")
    page.keyboard.press("v")
    assert_accessible(page, "the viewer")
    auditor = signed_in_page("auditor", Role.AUDITOR, color_scheme=scheme)
    for path in ("/lead", "/decisions", f"/cases/{key}"):
        auditor.goto(address + path)
        assert_accessible(auditor, f"{path} before an auditor")
    stranger = signed_in_page(color_scheme=scheme).context.browser.new_page(color_scheme=scheme)  # type: ignore[union-attr]
    for path in ("/sign-in", "/set-up?token=none"):
        stranger.goto(address + path)
        assert_accessible(stranger, path)
    stranger.close()


def a_days_pages(house: House) -> tuple[CaseKey, list[str]]:
    """Return an open case, and every page of the desk with something on it."""
    key, done, appealed = (take_in(house, case_id=name) for name in ("TB-open", "TB-done", "TB-appealed"))
    person = user_of(house, Role.ARBITRATOR)
    for decided_key in (done, appealed):
        draft = DecisionDraft(ruling=Ruling.REFUND, reason="签收不当")
        decide(house, decided_key, draft, by=Person(user=person, via="session"), judged_version=None)
    house.store.desk.file_appeal(appealed, AppealDraft(filed_by=Party.SELLER, reason="有视频"), by=person)
    house.store.desk.skip(key, reason="需要同事", by=person)
    house.store.desk.switch_off(SwitchDraft(claim=Claim.COUNTERFEIT, reason="复查"), by=user_of(house, Role.LEAD))
    house.store.desk.correct(
        key,
        CorrectionDraft(kind="statement", ref="m1", label=StatementLabel.CLAIMS_MISSING, holds=True),
        by=person,
    )
    cases = [f"/cases/{one}" for one in (key, done, appealed)]
    return key, ["/", *cases, f"/cases/{key}/photo-checks", "/shortcuts", "/lead", "/decisions"]


def assert_accessible(page: Page, path: str) -> None:
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == [], path


def test_the_page_does_not_scroll_sideways_on_a_phone_or_at_double_zoom(
    signed_in_page: OpenPage, address: str, scoring_house: House
) -> None:
    _, pages = a_days_pages(scoring_house)
    page = signed_in_page("lead", Role.LEAD)
    for path in pages:
        page.goto(address + path)
        for width in (420, 720):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (path, width)


def test_both_languages_and_own_keys(signed_in_page: OpenPage, scoring_house: House, address: str) -> None:
    key = take_in(scoring_house)
    page = signed_in_page()
    page.get_by_role("button", name="English").click()
    page.goto(f"{address}/shortcuts")
    page.get_by_label("Dismiss").press("F2")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    page.goto(f"{address}/cases/{key}")
    expect(page.get_by_role("heading", name="Your decision")).to_be_visible()
    page.keyboard.press("2")
    page.keyboard.press("t")
    assert scoring_house.store.view(key).decisions == ()
    with page.expect_navigation():
        page.keyboard.press("F2")
    (record,) = scoring_house.store.view(key).decisions
    assert (record.decision.ruling, record.decision.suggestion_shown) == ("dismiss", True)
    assert scoring_house.store.queue(QueueFilter(platform=Platform.TAOBAO)).cases[0].status == "decided"
