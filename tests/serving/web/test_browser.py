"""The desk in a real browser: from the one-time link to a recorded decision, in both languages."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from serving.api.documents import EXAMPLE_CASE
from serving.app import create_app
from serving.house import House
from serving.records import CaseKey, QueueFilter, Role
from tests.builders import photo_bytes
from tests.serving.conftest import user_of

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@pytest.fixture
def address(scoring_house: House) -> Iterator[str]:
    """The service on a free port, with one case taken in and scored."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(scoring_house.settings, house=scoring_house), port=port))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def _take_in(house: House) -> CaseKey:
    from models.domain import parse_case

    case = parse_case(EXAMPLE_CASE)
    filer = user_of(house, Role.SERVICE)
    house.store.take_in(case, by=filer)
    key = CaseKey(case.platform, case.case_id)
    house.store.add_photo(key, case.photos[0].photo_id, house.photo_intake.keep(photo_bytes()), by=filer)
    return key


def test_from_the_link_to_a_recorded_decision(browser: Browser, address: str, scoring_house: House) -> None:
    key = _take_in(scoring_house)
    deadline = time.monotonic() + 20
    while scoring_house.store.view(key).suggestion is None and time.monotonic() < deadline:
        time.sleep(0.05)
    link = scoring_house.gatekeeper.make_link(user_of(scoring_house, Role.ARBITRATOR), by="system:test")
    page = browser.new_context(locale="zh-CN").new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))

    page.goto(f"{address}/sign-in?token={link}")
    page.get_by_role("link", name=key.case_id).click()
    assert page.locator("figure img").first.evaluate("image => image.naturalWidth") > 0
    assert page.get_by_text("机器建议").first.is_visible()
    page.get_by_role("button", name="English").click()
    assert page.get_by_role("heading", name="Your decision").is_visible()
    page.get_by_label("Reason", exact=True).select_option("evidence")
    page.get_by_role("button", name="Dismiss").click()
    page.wait_for_url(f"{address}/")

    (record,) = scoring_house.store.view(key).decisions
    assert (record.decision.ruling, record.decision.suggestion_shown) == ("dismiss", True)
    assert record.decision.review_seconds is not None
    assert scoring_house.store.queue(QueueFilter()).cases[0].status == "decided"
    assert problems == []


def test_the_page_does_not_scroll_sideways_on_a_phone_or_at_double_zoom(
    browser: Browser, address: str, scoring_house: House
) -> None:
    key = _take_in(scoring_house)
    link = scoring_house.gatekeeper.make_link(user_of(scoring_house, Role.ARBITRATOR), by="system:test")
    page = browser.new_context(viewport={"width": 420, "height": 800}).new_page()
    page.goto(f"{address}/sign-in?token={link}")
    for path in ("/", f"/cases/{key}"):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
