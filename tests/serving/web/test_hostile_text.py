"""Whatever parties and people write is shown as text on every page: a script in it would leave its mark.

The browser is told to ignore the content security policy, so that the escaping alone is tried; the policy has a test of
its own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Page

from models.domain import DecisionDraft, parse_case
from models.vocabulary import Party, Platform, Ruling, StatementLabel
from serving.app import create_app
from serving.case_files import read_case_file
from serving.desk_records import AppealDraft, CorrectionDraft, NoticeText, SwitchDraft
from serving.house import House
from serving.records import CaseKey, Role
from serving.web.queue_page import case_path
from tests.models.test_photo_metadata import with_exif
from tests.serving.conftest import user_of
from training.gate import Answers, Verdict
from training.gate_report import write_report
from training.outcome_table import OutcomeTable
from training.provenance import Provenance
from training.suspects import Suspect

IMAGE = '"><img src=x onerror=window.caught=1 data-planted>'
PLANTED = (
    IMAGE,
    "<script data-planted>window.caught=1</script>",
    "'><svg onload=window.caught=1 data-planted>",
    "' autofocus onfocus='window.caught=1' data-planted='",
    "</textarea></title></style></pre><b data-planted>",
    "{{ 7*7 }}{% include 'base.html' %}",
    "javascript:window.caught=1//",
)
TEXT = " ".join(PLANTED)
CASE_ID = f"{IMAGE}/1"
EARLIER = f"{IMAGE}/0"
NOT_SHOWN = ("/static", "/health", "/metrics", "/api/", "/sign-in/provider")
OpenPage = Callable[..., Page]


def hostile_case(case_id: str) -> dict[str, Any]:
    """Return a case with the planted text wherever a case holds text."""
    at = "2026-03-02T10:00:00+08:00"
    return {
        "case_id": case_id,
        "platform": "taobao",
        "opened_at": at,
        "claim": "damaged",
        "requested": "refund",
        "buyer_statement": f"碎了 {TEXT}",
        "seller_statement": f"签收时是好的 {TEXT}",
        "listing": {"title": TEXT, "description": TEXT, "category": TEXT, "attributes": {TEXT: TEXT}},
        "order": {
            "order_id": IMAGE,
            "buyer_id": IMAGE,
            "seller_id": f"{IMAGE}!",
            "paid_minor": 5900,
            "currency": "CNY",
            "goods_state": "received",
        },
        "logistics": [{"at": at, "event": "signed", "by": "locker", "note": TEXT}],
        "timeline": [{"at": at, "event": "refund_applied", "by": "buyer", "note": TEXT}],
        "chat": [
            {"message_id": IMAGE, "at": at, "speaker": "buyer", "text": f"碎了 {TEXT}", "photo_ids": [IMAGE]},
            {"message_id": f"{IMAGE}2", "at": at, "speaker": "seller", "text": f"没包好是我们的错 {TEXT}"},
        ],
        "photos": [{"photo_id": IMAGE, "role": "received", "filed_by": "buyer"}],
        "documents": [{"document_id": IMAGE, "kind": "invoice", "filed_by": "seller", "note": TEXT}],
    }


@pytest.fixture
def planted(scoring_house: House) -> tuple[CaseKey, CaseKey]:
    """An open case and a decided one with a notice, an appeal and corrections; switches, views, passes: all hostile."""
    house = scoring_house
    lead, filer = user_of(house, Role.LEAD, name=f"lead {IMAGE}"), user_of(house, Role.SERVICE)
    keys = (CaseKey(Platform.TAOBAO, CASE_ID), CaseKey(Platform.TAOBAO, EARLIER))
    for key in keys:
        house.store.take_in(parse_case(hostile_case(key.case_id)), by=filer)
        photo = house.photo_intake.keep(with_exif(software=f"Adobe Photoshop {IMAGE}"))
        house.store.add_photo(key, IMAGE, photo, by=filer)
        version = house.store.version(key)
        suggestion = house.scoring.suggest(read_case_file(version, house.photos))
        house.store.keep_suggestion(version, suggestion, by="system:test")
    for key in keys:
        house.inspector.inspect(house.store.version(key), by="system:test")
    opened, decided = keys
    desk = house.store.desk
    wrong = CorrectionDraft(kind="statement", ref=IMAGE, label=StatementLabel.CLAIMS_DAMAGE, holds=False, note=TEXT)
    desk.correct(opened, wrong, by=lead)
    desk.skip(opened, reason=TEXT[:500], by=user_of(house, Role.ARBITRATOR, name=IMAGE))
    draft = DecisionDraft(ruling=Ruling.REFUND, reason=TEXT, distinguishes=TEXT)
    house.store.decide(
        decided, draft, by=lead, input_digest="sha256:0", write_notice=lambda _: NoticeText(zh=TEXT, en=TEXT)
    )
    desk.keep_preference(IMAGE, f"search={IMAGE}", of=lead, kind="view")
    desk.switch_off(SwitchDraft(platform=Platform.JD, reason=TEXT[:500]), by=lead)
    return keys


def pages(house: House, key: CaseKey) -> Iterator[str]:
    """Yield the address of every page that can be read."""
    for context in iter_route_contexts(create_app(house.settings, house=house).routes):
        path = context.path or ""
        if path.startswith(NOT_SHOWN) or "GET" not in (getattr(context.original_route, "methods", None) or ()):
            continue
        address = path.replace("/cases/{platform}/{case_id:path}", case_path(key))
        if "{" not in address:
            yield address


def check_text_only(page: Page, address: str) -> None:
    assert page.evaluate("window.caught === undefined"), address
    assert page.locator("[data-planted]").count() == 0, address
    assert page.locator("script:not([src])").count() == 0, address
    assert page.locator("a[href^='javascript:']").count() == 0, address


def test_no_page_runs_or_renders_what_is_written_in_a_case(
    signed_in_page: OpenPage, scoring_house: House, planted: tuple[CaseKey, CaseKey]
) -> None:
    page = signed_in_page(name=f"lead {IMAGE}", role=Role.LEAD, bypass_csp=True)
    address = page.url.split("/sign-in")[0].rstrip("/")
    walked = {path for key in planted for path in pages(scoring_house, key)} | {
        f"/?status=&search={IMAGE}",
        f"/decisions?by={IMAGE}",
    }
    assert {"/", "/lead", "/decisions", "/shortcuts"} < walked
    shown = {}
    for path in sorted(walked):
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        check_text_only(page, path)
        shown[path] = page.content()
    escaped = "&lt;script data-planted&gt;window.caught=1&lt;/script&gt;"
    for path in ("/lead", "/decisions", *(path for path in walked if path.endswith("/1"))):
        assert escaped in shown[path], path
    assert all("49{%" not in content for content in shown.values())


def test_a_notice_is_edited_sent_and_appealed_as_text(
    signed_in_page: OpenPage, scoring_house: House, planted: tuple[CaseKey, CaseKey]
) -> None:
    page = signed_in_page(name=f"lead {IMAGE}", role=Role.LEAD, bypass_csp=True)
    address = page.url.split("/sign-in")[0].rstrip("/")
    path = next(path for path in pages(scoring_house, planted[1]) if path.endswith("/0"))
    page.goto(address + path)
    check_text_only(page, path)
    assert page.locator("textarea[name=zh]").input_value() == TEXT
    with page.expect_navigation():
        page.locator("button[name=send]").click()
    scoring_house.store.desk.file_appeal(
        planted[1], AppealDraft(filed_by=Party.SELLER, reason=TEXT), by=user_of(scoring_house, Role.SERVICE)
    )
    page.goto(address + path)
    check_text_only(page, path)
    assert page.locator("pre").first.text_content() == TEXT


def test_the_policy_stops_a_script_that_the_escaping_would_miss(signed_in_page: OpenPage) -> None:
    plant = "document.head.append(Object.assign(document.createElement('script'), {textContent: 'window.caught = 1'}))"
    caught = []
    for bypass in (False, True):
        page = signed_in_page(bypass_csp=bypass)
        page.evaluate(plant)
        caught.append(page.evaluate("window.caught === 1"))
    assert caught == [False, True]


def test_the_report_of_a_retraining_shows_case_ids_as_text(signed_in_page: OpenPage, tmp_path: Path) -> None:
    nothing = OutcomeTable(np.zeros((0, 1)), np.zeros(0, np.intp), np.zeros(0), (), np.zeros(0, np.str_), {})
    answers = Answers(np.zeros((0, 6)), np.zeros((0, 6), np.bool_), 0.1)
    suspect = Suspect(f"taobao/{TEXT}", Ruling.REFUND, Ruling.DISMISS, 0.1, Provenance.BLIND)
    write_report(
        tmp_path, verdict=Verdict(False, (TEXT,), 0, 0.0), judged=nothing, champion=answers, challenger=answers,
        curve=(), counts={TEXT: 1}, doubtful=[suspect], names=(TEXT, TEXT), calibrated_on="simulated", readings={},
    )  # fmt: skip
    page = signed_in_page(bypass_csp=True)
    page.goto((tmp_path / "report.html").as_uri())
    check_text_only(page, "report.html")
    assert f"taobao/{TEXT}" in page.locator("td").all_text_contents()
