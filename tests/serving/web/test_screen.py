"""One case on one screen, in a real browser: what scrolls, what stays, and what a stray key must never do."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from serving.house import House
from serving.records import CaseKey, Role
from serving.settings import Settings
from tests.builders import photo_bytes
from tests.serving.conftest import user_of
from tests.serving.web.test_browser import EXAMPLE_CASE, assert_accessible, take_in

OpenPage = Callable[..., Page]
LONG = {**EXAMPLE_CASE, "chat": [{**EXAMPLE_CASE["chat"][0], "message_id": f"m{n}"} for n in range(1, 60)]}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"reason_required": True})


@pytest.fixture
def opened(signed_in_page: OpenPage, scoring_house: House, address: str) -> tuple[Page, CaseKey]:
    """A case with a long chat and two photos, open before an arbitrator."""
    key = take_in(scoring_house, LONG, photos=[*EXAMPLE_CASE["photos"], _LISTED])
    filer = user_of(scoring_house, Role.SERVICE)
    scoring_house.store.add_photo(key, "p0", scoring_house.photo_intake.keep(photo_bytes()), by=filer)
    page = signed_in_page(viewport={"width": 1280, "height": 720})
    page.goto(f"{address}/cases/{key}")
    return page, key


_LISTED = {"photo_id": "p0", "role": "listing", "filed_by": "seller"}


TOP = "document.getElementById('evidence').scrollTop"


def page_down(page: Page) -> float:
    """Press the key, and return how far the evidence was scrolled once it rests."""
    page.keyboard.press("PageDown")
    tops = [0.0]
    for _ in range(40):
        page.wait_for_timeout(100)
        tops.append(float(page.evaluate(TOP)))
        if tops[-1] == tops[-2] > 0:
            break
    return tops[-1]


def decided(house: House, key: CaseKey) -> list[str]:
    return [record.decision.ruling for record in house.store.view(key).decisions]


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720)])
def test_columns_scroll_by_themselves_and_the_decision_stays_in_sight(
    opened: tuple[Page, CaseKey], size: tuple[int, int]
) -> None:
    page, _ = opened
    page.set_viewport_size({"width": size[0], "height": size[1]})
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page_down(page) > 100
    tops = page.locator(".case > div").evaluate_all("all => all.map(column => column.scrollTop)")
    assert (tops[0], tops[2]) == (0, 0)
    expect(page.locator(".rulings")).to_be_in_viewport(ratio=1)


def test_every_ruling_looks_alike(opened: tuple[Page, CaseKey]) -> None:
    page, _ = opened
    looks = page.locator(".rulings button").evaluate_all(
        "all => all.map(b => { const s = getComputedStyle(b), r = b.getBoundingClientRect();"
        " return [s.color, s.backgroundColor, s.borderColor, s.font, r.width | 0, r.height | 0].join() })"
    )
    assert len(looks) == 6
    assert len(set(looks)) == 1


def test_enter_in_a_field_decides_nothing(opened: tuple[Page, CaseKey], scoring_house: House) -> None:
    page, key = opened
    page.keyboard.press("1")
    for name in ("note", "refund", "ask_text"):
        page.evaluate("document.querySelector('form.decide details').open = true")
        page.locator(f"[name={name}]").press("Enter")
    page.wait_for_timeout(300)
    assert decided(scoring_house, key) == []


def test_a_reason_that_is_missing_is_said_at_once_and_nothing_moves(
    opened: tuple[Page, CaseKey], scoring_house: House
) -> None:
    page, key = opened
    address = page.url
    page.keyboard.press("t")
    expect(page.locator("#unready")).to_have_text("请先选择理由，再点一个裁决。")
    assert (page.url, decided(scoring_house, key)) == (address, [])
    page.keyboard.press("2")
    expect(page.locator("#unready")).to_be_empty()
    with page.expect_navigation():
        page.keyboard.press("t")
    assert decided(scoring_house, key) == ["dismiss"]


def test_a_partial_refund_without_a_sum_asks_for_it_where_one_types_and_keeps_ones_place(
    opened: tuple[Page, CaseKey], scoring_house: House
) -> None:
    page, key = opened
    top = page_down(page)
    page.keyboard.press("1")
    page.evaluate("document.querySelector('form.decide details').open = true")
    page.locator("#return_freight").select_option("buyer")
    with page.expect_navigation():
        page.locator(".rulings button[value=partial_refund]").click()
    expect(page.locator("#unready")).to_contain_text("请填写退款金额")
    assert_accessible(page, "a form that was refused")
    assert page.evaluate("document.activeElement.name") == "refund"
    assert page.evaluate(TOP) == top
    assert page.locator("#return_freight").input_value() == "buyer"
    page.keyboard.type("20")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    (record,) = scoring_house.store.view(key).decisions
    remedy = record.decision.remedy
    assert (record.decision.ruling, remedy.refund_minor, remedy.return_freight) == ("partial_refund", 2000, "buyer")


def test_photos_are_shown_as_they_are_until_the_heat_map_is_asked_for(opened: tuple[Page, CaseKey]) -> None:
    page, _ = opened
    expect(page.locator(".heat")).to_have_count(0)
    page.locator("#p-p1 a.frame").click()
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("h")
    expect(page.locator("#right-pane .heat")).to_be_visible()
    expect(page.locator("#left-pane .heat")).to_have_count(0)
    photo, heat = (page.locator(f"#right-pane {name}").bounding_box() for name in ("img >> nth=0", ".heat"))
    assert photo == heat
    assert_accessible(page, "the viewer with heat")
    page.keyboard.press("h")
    expect(page.locator("#right-pane .heat")).to_be_hidden()
    page.keyboard.press("v")
    expect(page.locator("#viewer")).to_be_hidden()


def test_escape_closes_what_was_opened_over_the_case(opened: tuple[Page, CaseKey]) -> None:
    page, _ = opened
    for key, name in (("s", "details.aside"), ("?", "details.help")):
        page.keyboard.press(key)
        expect(page.locator(f"{name}[open]")).to_have_count(1)
        assert_accessible(page, name)
        page.keyboard.press("Escape")
        expect(page.locator(f"{name}[open]")).to_have_count(0)


def test_our_own_times_are_said_in_the_readers_zone(
    signed_in_page: OpenPage, scoring_house: House, address: str
) -> None:
    key = take_in(scoring_house)
    page = signed_in_page(timezone_id="Asia/Shanghai")
    page.goto(f"{address}/cases/{key}")
    page.keyboard.press("1")
    with page.expect_navigation():
        page.keyboard.press("t")
    page.goto(f"{address}/cases/{key}")
    told = page.locator("time[data-local]").first
    there = page.evaluate("time => new Date(time.dateTime).toLocaleString('sv').slice(0, 16)", told.element_handle())
    assert told.inner_text() == there
    assert told.get_attribute("title").endswith(" UTC")  # type: ignore[union-attr]
