"""Headless Chromium, and pages that tell of every message, error and request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.waiting import PATIENCE_S, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def open_browser() -> Iterator[Any]:
    """A browser; the test is skipped where none is installed."""
    driver = pytest.importorskip("playwright.sync_api", reason="a browser is driven with playwright: pip install it")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page of its own.

    Attributes:
        troubles: lines of the console, errors of scripts, dialogs, failed answers, and requests to anywhere but `home`.
    """

    def __init__(self, browser: Any, home: str, width: int = 1280, height: int = 900) -> None:
        self.page = browser.new_context(viewport={"width": width, "height": height}).new_page()
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.troubles: list[str] = []
        self.page.on("console", lambda line: self.troubles.append(f"{line.text} ({line.location})"))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("response", lambda one: one.ok or self.troubles.append(f"{one.status} {one.url}"))
        self.page.on("request", lambda one: one.url.startswith((home, "data:")) or self.troubles.append(one.url))
        self.page.on("dialog", lambda one: (self.troubles.append(f"dialog: {one.message}"), one.dismiss()))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression holds; a strict policy forbids the driver's own way of waiting."""
        wait_until(lambda: self.page.evaluate(condition), condition)

    @property
    def fits(self) -> bool:
        """True where nothing is wider than the window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
