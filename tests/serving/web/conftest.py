"""A real browser, and the service on a free port of its own."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from serving.app import create_app
from serving.house import House
from serving.records import Role
from tests.serving.conftest import user_of

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser that is gone before other files' tests: while it runs, this thread can run no event loop."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@contextmanager
def served(house: House) -> Iterator[str]:
    """Serve on a free port; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(house.settings, house=house), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def address(scoring_house: House) -> Iterator[str]:
    with served(scoring_house) as found:
        yield found


@pytest.fixture
def signed_in_page(browser: Browser, address: str, scoring_house: House) -> Iterator[Callable[..., Page]]:
    """Return a page of somebody signed in, in Chinese."""
    contexts = []

    def page(name: str = "arbitrator", role: Role = Role.ARBITRATOR, **options: object) -> Page:
        context = browser.new_context(locale="zh-CN", **options)  # type: ignore[arg-type]
        contexts.append(context)
        link = scoring_house.gatekeeper.make_link(user_of(scoring_house, role, name=name), by="system:test")
        opened = context.new_page()
        opened.goto(f"{address}/sign-in?token={link}")
        return opened

    yield page
    for context in contexts:
        context.close()
