"""`python -m bench.tour`: the pictures of docs/desk.md, taken of the running demonstration in a real browser.

A store of its own is filled by `evidence-review demo`; beside the samples it holds copies of one under other ids, to
have comparable rulings and a case that is decided blind first. Measures nothing.
"""

import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from bench.backlogs import ROOT
from bench.service import free_port, running
from models.domain import DecisionDraft, Remedy, parse_case
from models.encoders import default_cache_dir
from models.registry import load_suggester
from models.vocabulary import Party, Platform, Ruling, Stage
from serving.api.decisions import decide
from serving.backlog.photos import read_photos
from serving.demo import DEMO_LEAD, SAMPLES
from serving.desk_records import AppealDraft
from serving.house import House, build_house
from serving.records import CaseKey, CaseStatus, EvidenceDraft, Person, QueueFilter, Role
from serving.settings import Settings

_COLOURS = 256
_SHOWN = CaseKey(Platform.TAOBAO, "TB-2026-210417")
_CHANGED = CaseKey(Platform.JD, "JD-2026-610233")
_COPIES = ("TB-2026-210433", "TB-2026-210451", "TB-2026-210502")
_ANSWER = {
    "message_id": "m90",
    "at": "2026-11-20T10:12:00+08:00",
    "speaker": "seller",
    "text": "仓库查到当天的打包录像，发的就是墨绿",
}
_SETTLE_MS = 500
_SIZE = {"width": 1280, "height": 720}


@contextmanager
def demonstration(folder: Path) -> Iterator[tuple[str, House]]:
    """Run the demo without blind cases; yield its address, and a house on its store that makes every case blind."""
    port, url = free_port(), f"sqlite:///{folder}/review.db"
    names = {"DATABASE_URL": url, "PHOTO_DIR": str(folder / "photos"), "REGISTRY_URI": "", "BLIND_SHARE": "0"}
    environment = {f"EVIDENCE_REVIEW_{name}": value for name, value in names.items()}
    command = [sys.executable, "-c", "from serving.cli import app; app()", "demo", "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with running(command, url=f"{address}/health/live", environment=environment, log=folder / "demo.log"):
        settings = Settings(database_url=url, photo_dir=folder / "photos", registry_uri="", blind_share=1)
        house = build_house(settings, load_suggester(cache_dir=default_cache_dir()))
        yield address, house
        house.store.close()


class Tour:
    """A browser at the demonstration, and people who sign in."""

    def __init__(self, browser: Browser, address: str, house: House) -> None:
        self.browser, self.address, self.house = browser, address, house
        self.people = {
            "li": house.gatekeeper.add_user("li", role=Role.ARBITRATOR, by="system:tour"),
            "chen": house.gatekeeper.add_user("chen", role=Role.ARBITRATOR, by="system:tour"),
            DEMO_LEAD: house.store.accounts.named(DEMO_LEAD),
        }

    def page(self, name: str, *, language: str = "zh-CN", scheme: str = "light") -> Page:
        context = self.browser.new_context(
            locale=language,
            viewport=_SIZE,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            timezone_id="Asia/Shanghai",
        )
        page = context.new_page()
        page.goto(
            f"{self.address}/sign-in?token={self.house.gatekeeper.make_link(self.people[name], by='system:tour')}"
        )
        return page

    def picture(self, page: Page, name: str) -> None:
        """Write docs/NAME.png in few colours: it must stay small."""
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(_SETTLE_MS)
        shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        shown.quantize(_COLOURS, dither=Image.Dither.NONE).save(ROOT / "docs" / f"{name}.png", optimize=True)

    def decides(self, name: str, key: CaseKey, ruling: Ruling, *, stage: Stage = Stage.FIRST_REVIEW) -> None:
        """Decide with whatever suggestion may be shown on the screen."""
        said = self.house.store.view(key).suggestion
        draft = DecisionDraft(
            ruling=ruling,
            stage=stage,
            suggestion_id=said.suggestion_id if said else None,
            remedy=Remedy(refund_minor=1000) if ruling == Ruling.PARTIAL_REFUND else None,
            reason="证据足以认定",
            distinguishes="此案卖家有发货视频",
            review_seconds=74.0,
        )
        decide(self.house, key, draft, by=Person(user=self.people[name], via="session"), judged_version=None)


def copies(house: House) -> list[CaseKey]:
    """Take in the shown sample again under other ids."""
    lines = (SAMPLES / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if f'"{_SHOWN.case_id}"' in line)
    filer = house.store.accounts.named("demo-intake")
    keys = []
    for name in _COPIES:
        case = parse_case({**json.loads(line), "case_id": name})
        house.store.take_in(case, by=filer)
        keys.append(CaseKey(case.platform, name))
        for photo_id, data in read_photos(case, SAMPLES).items():
            house.store.add_photo(keys[-1], photo_id, house.photo_intake.keep(data), by=filer)
    return keys


def take(tour: Tour) -> None:
    """Take every picture, in the order of the tour."""
    *alike, blind = copies(tour.house)
    page = tour.page("li")
    tour.picture(page, "desk-queue")
    open_case(tour, page, _SHOWN)
    tour.picture(page, "desk")
    page.keyboard.press("j")
    page.keyboard.press("o")
    tour.picture(page, "desk-reason")
    page.keyboard.press("v")
    page.keyboard.press("=")
    page.keyboard.press("h")
    page.locator("#right-pane .heat").wait_for()
    tour.picture(page, "desk-viewer")
    page.keyboard.press("h")
    page.keyboard.press("v")
    page.locator("#p-p2").focus()
    page.keyboard.press("d")
    tour.picture(page, "desk-correct")
    page.keyboard.press("Escape")
    open_case(tour, page, blind)
    tour.picture(page, "desk-blind")
    dark = tour.page("li", language="en-US", scheme="dark")
    open_case(tour, dark, _SHOWN)
    tour.picture(dark, "desk-dark")
    take_new_version(tour, page)
    for key in alike:
        tour.decides("chen", key, Ruling.REFUND)
    open_case(tour, page, _SHOWN)
    press(page, "2", "t")
    tour.picture(page, "desk-departs")
    page.keyboard.type("买家同意放快递柜，有聊天为证")
    page.keyboard.press("Escape")
    press(page, "t")
    tour.picture(page, "desk-next")
    open_case(tour, page, _SHOWN)
    tour.picture(page, "desk-notice")
    take_oversight(tour)


def take_new_version(tour: Tour, page: Page) -> None:
    """Let evidence arrive while a case is open, and look at what changed."""
    open_case(tour, page, _CHANGED)
    draft = EvidenceDraft.model_validate_json(json.dumps({"chat": [_ANSWER]}))
    tour.house.store.add_evidence(_CHANGED, draft, by=tour.house.store.accounts.named("demo-intake"))
    page.locator("#live a").wait_for()
    press(page, "g")
    page.locator(".notice a[href^='#m-']").click()
    tour.picture(page, "desk-version")


def take_oversight(tour: Tour) -> None:
    """Let people decide some of the samples, and some on appeal; then look at the figures and the log."""
    store, lead = tour.house.store, tour.people[DEMO_LEAD]
    waiting = [
        CaseKey(row.platform, row.case_id) for row in store.queue(QueueFilter(status=CaseStatus.OPEN), limit=100).cases
    ]
    said = {key: view.suggestion.ruling for key in waiting if (view := store.view(key)).suggestion and not view.hold}
    final = [(key, ruling) for key, ruling in said.items() if ruling not in (None, Ruling.REQUEST_EVIDENCE)]
    for n, (key, ruling) in enumerate(final[:15]):
        first = Ruling.DISMISS if n % 5 == 0 or ruling is None else ruling
        tour.decides("li" if n % 2 else "chen", key, first)
        if n % 3 == 0:
            store.desk.file_appeal(key, AppealDraft(filed_by=Party.SELLER, reason="有发货前视频"), by=lead)
            tour.decides(DEMO_LEAD, key, Ruling.DISMISS if n % 2 else first, stage=Stage.APPEAL)
    page = tour.page(DEMO_LEAD)
    page.goto(f"{tour.address}/lead")
    tour.picture(page, "desk-lead")
    page.goto(f"{tour.address}/decisions")
    tour.picture(page, "desk-log")


def open_case(tour: Tour, page: Page, key: CaseKey) -> None:
    page.goto(f"{tour.address}/cases/{key}")


def press(page: Page, *keys: str) -> None:
    """Press keys, the last of which leads to another page."""
    for key in keys[:-1]:
        page.keyboard.press(key)
    with page.expect_navigation():
        page.keyboard.press(keys[-1])


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with (
        tempfile.TemporaryDirectory() as folder,
        demonstration(Path(folder)) as (address, house),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        take(Tour(browser, address, house))
        browser.close()


if __name__ == "__main__":
    main()
