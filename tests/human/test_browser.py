"""A whole session in headless Chromium, with the keyboard alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from human.servers import Server, serving
from human.studies import write_small_study
from support.browser import Watched, open_browser
from support.clips import make_clip

from avemo_harness.human.study import StudyItem, read_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served") / "study"
    write_small_study(folder, dialogues=3, seconds=0.2, clip=make_clip(0.2))
    with serving(folder) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as running:
        yield running


class Rater(Watched):
    """Sits at the keyboard."""

    def __init__(self, browser: Any, server: Server, width: int, height: int) -> None:
        super().__init__(browser, server.url, width, height)
        self.items = {item.segments[-1].media: item for item in read_study(server.folder).items}

    def to_training(self) -> None:
        self.page.wait_for_selector("#agree")
        self.press("Tab", "Space", "Tab", "Enter")
        self.page.wait_for_selector("#digit")
        self.press("Tab", "Enter")
        self.wait("document.activeElement.id === 'digit'")
        self.press("7", "Tab", "3", "Enter")
        self.page.wait_for_selector("dl")
        self.press("Tab", "Enter")

    def play_to_the_end(self) -> StudyItem:
        """Play what is on the screen; the scales open when the last recording has ended, not before."""
        self.wait("document.activeElement.textContent === 'Play'")
        assert self.page.evaluate("[...document.querySelectorAll('fieldset')].every(one => one.disabled)")
        self.press("Enter")
        self.wait("!document.querySelector('fieldset').disabled")
        played = self.page.evaluate("document.querySelector('video').src").rsplit("/", 1)[1]
        assert self.page.evaluate("document.querySelector('video').ended")
        return self.items[played]

    def rate(self, item: StudyItem) -> None:
        meant = {"er": 2, "en": 4, "rr": 5, **item.expected}
        heading = self.page.inner_text("h1")
        self.press(*(str(meant[name]) for name in ("er", "en", "rr")), "Enter")
        self.wait(f"document.querySelector('h1')?.textContent !== {heading!r}")

    @property
    def progress(self) -> str:
        text: str = self.page.inner_text("#progress-text")
        return text


def in_training(browser: Any, server: Server, token: str, width: int = 1280, height: int = 900) -> Rater:
    """A rater who has come to the first item of the training."""
    rater = Rater(browser, server, width, height)
    rater.page.goto(f"{server.url}/join/{token}")
    rater.to_training()
    return rater


@pytest.mark.parametrize(("width", "height", "token"), [(1280, 900, "token0"), (390, 844, "token1")])
def test_a_whole_session_goes_by_keyboard_alone(
    browser: Any, server: Server, width: int, height: int, token: str
) -> None:
    rater = Rater(browser, server, width, height)
    rater.page.goto(f"{server.url}/join/{token}")
    rater.to_training()
    while not rater.page.query_selector(".code"):
        rater.rate(rater.play_to_the_end())
        if rater.page.query_selector("table"):
            assert "too far off" not in rater.page.inner_text("table")
            rater.press("Tab", "Enter")
            rater.wait("!document.querySelector('table')")
        assert rater.fits, "wider than the screen"
    assert rater.troubles == []
    number = int(token.removeprefix("token"))
    with sqlite3.connect(server.folder / "ratings.sqlite") as tables:
        rows = tables.execute("SELECT item, er, en, rr, plays FROM ratings WHERE rater = ?", (number,)).fetchall()
    by_id = {item.item_id: item for item in rater.items.values()}
    assert len(rows) == len(read_study(server.folder).sessions[0].showings)
    for item, er, en, rr, plays in rows:
        assert {"er": er, "en": en, "rr": rr} == {"er": 2, "en": 4, "rr": 5, **by_id[item].expected}
        assert plays == 1


def test_a_long_dialogue_fits_the_phone(browser: Any, tmp_path: Path) -> None:
    write_small_study(tmp_path / "study", dialogues=3, seconds=0.2, clip=make_clip(0.2), turns=6)
    with serving(tmp_path / "study") as server:
        rater = in_training(browser, server, "token0", 390, 844)
        rater.wait("document.activeElement.textContent === 'Play'")
        rater.press("Enter")
        rater.wait("document.querySelector('.part').textContent === 'The reply, 2 of 12'")
        assert rater.fits


INSIDE = """[...document.querySelectorAll('.point')].every((point) => {
    const box = point.getBoundingClientRect();
    const control = point.querySelector('input').getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(point.querySelector('span'));
    const lines = [...range.getClientRects()];
    const inside = (one) => one.left >= box.left && one.right <= box.right && one.bottom <= box.bottom + 0.5;
    const apart = (one) => one.right <= control.left || one.top >= control.bottom || one.bottom <= control.top;
    return inside(control) && lines.length > 0 && lines.every((one) => inside(one) && apart(one));
})"""
"""True where every point holds its control and its anchor, and neither lies on the other."""


@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("anchor", ["", "Verantwortungsbewusstseinserweiterung durch sehr ausführliche Antworten " * 2])
def test_anchors_of_any_length_leave_the_controls_where_they_are(
    browser: Any, tmp_path: Path, width: int, anchor: str
) -> None:
    write_small_study(tmp_path, dialogues=3, seconds=0.2, clip=make_clip(0.2))
    if anchor:
        plan = json.loads((tmp_path / "plan.json").read_text())
        for scale in plan["scales"]:
            scale["anchors"] = [anchor] * 5
        (tmp_path / "plan.json").write_text(json.dumps({**plan, "scales_version": "long"}))
    with serving(tmp_path) as server:
        rater = in_training(browser, server, "token0", width, 844)
        rater.play_to_the_end()
        assert rater.page.evaluate("document.querySelectorAll('.point').length") == 15
        assert rater.page.evaluate(INSIDE)
        assert rater.fits
        widths = rater.page.evaluate("[...document.querySelectorAll('.point')].map((one) => one.offsetWidth)")
        assert max(widths) - min(widths) <= 1


@pytest.mark.parametrize("width", [1280, 390])
def test_an_example_shows_what_its_voices_say_and_why_it_is_rated_as_it_is(
    browser: Any, tmp_path: Path, width: int
) -> None:
    write_small_study(tmp_path, dialogues=3, seconds=0.2, clip=make_clip(0.4), lessons=True)
    with serving(tmp_path) as server:
        rater = in_training(browser, server, "token0", width, 844)
        rater.wait("document.activeElement.textContent === 'Play'")
        assert "voices that have no words" in rater.page.inner_text("main")
        rater.press("Enter")
        rater.wait("document.querySelector('.words').textContent === 'The reply: Fine!'")
        assert rater.page.locator(".words").is_visible()
        rater.wait("document.querySelector('.words').textContent === 'The person: My train is late.The reply: Fine!'")
        rater.press("2", "4", "4", "Enter")
        rater.wait("document.querySelector('table')")
        assert "It answers another." in rater.page.inner_text(".note")
        assert "too far off" in rater.page.inner_text("table")
        assert rater.fits
        rater.press("Tab", "Enter")
        rater.wait("document.querySelector('h1')?.textContent === 'Practice 2 of 2'")
        assert "no words" not in rater.page.inner_text("main"), "the second item is no example"
        assert rater.troubles == []


def test_a_reload_goes_on_with_the_same_item_and_a_second_tab_shows_it_too(browser: Any, server: Server) -> None:
    rater = in_training(browser, server, "token2")
    rater.rate(rater.play_to_the_end())
    rater.press("Tab", "Enter")
    rater.wait("document.querySelector('h1')?.textContent === 'Practice 2 of 2'")
    rater.page.reload()
    rater.wait("document.querySelector('h1')?.textContent === 'Practice 2 of 2'")
    second = rater.page.context.new_page()
    second.goto(server.url)
    second.wait_for_selector(".item")
    assert second.inner_text("h1") == "Practice 2 of 2"


def test_a_double_click_on_the_device_check_is_one_try(browser: Any, server: Server) -> None:
    rater = Rater(browser, server, 1280, 900)
    rater.page.goto(f"{server.url}/join/token5")
    rater.page.wait_for_selector("#agree")
    rater.press("Tab", "Space", "Tab", "Enter")
    rater.page.wait_for_selector("#digit")
    rater.page.fill("#digit", "1")
    rater.page.fill("#beeps", "1")
    rater.page.get_by_role("button", name="Check").dblclick()
    rater.wait("document.body.innerText.includes('This is the last try')")
    assert rater.page.locator("#digit").is_visible()


def test_a_tab_that_was_left_behind_shows_what_comes_next(browser: Any, server: Server) -> None:
    rater = in_training(browser, server, "token6")
    rater.wait("document.activeElement.textContent === 'Play'")
    stale = rater.page
    rater.page = stale.context.new_page()
    rater.page.goto(server.url)
    rater.page.wait_for_selector(".item")
    rater.rate(rater.play_to_the_end())
    rater.page = stale
    rater.press("Enter")
    rater.wait("document.querySelector('h1')?.textContent === 'Practice 2 of 2'")
    assert "here is what comes next" in rater.page.inner_text("#status")


def test_a_start_that_was_not_told_is_told_by_the_next_play(browser: Any, server: Server) -> None:
    rater = in_training(browser, server, "token7")
    rater.wait("document.activeElement.textContent === 'Play'")
    refusal = {"status": 403, "json": {"message": "not now"}}
    rater.page.route("**/api/begin", lambda route: route.fulfill(**refusal), times=1)
    rater.play_to_the_end()
    rater.page.get_by_role("button", name="Play again").click()
    rater.wait("document.querySelector('.player button').textContent === 'Play again'")
    item = rater.items[rater.page.evaluate("document.querySelector('video').src").rsplit("/", 1)[1]]
    rater.page.locator("fieldset input").first.focus()
    rater.rate(item)
    assert rater.page.locator("table").is_visible()


def test_a_report_that_did_not_get_through_leaves_the_scales_usable(browser: Any, server: Server) -> None:
    rater = in_training(browser, server, "token8")
    rater.wait("document.activeElement.textContent === 'Play'")
    rater.page.route("**/api/rate", lambda route: route.fulfill(status=403, json={"message": "not now"}), times=1)
    rater.page.get_by_text("Something does not work").click()
    rater.page.fill("#problem", "It crackles.")
    rater.page.get_by_role("button", name="Leave this reply out").click()
    rater.wait("document.getElementById('status').textContent === 'not now'")
    rater.page.locator(".player button").focus()
    rater.rate(rater.play_to_the_end())
    assert rater.page.locator("table").is_visible()


def test_nothing_can_be_skipped_or_hurried(browser: Any, server: Server) -> None:
    rater = in_training(browser, server, "token9")
    rater.wait("document.activeElement.textContent === 'Play'")
    rater.press("Enter")
    rater.wait("document.querySelector('video').duration > 0")
    rater.page.evaluate("document.querySelector('video').playbackRate = 4")
    rater.wait("document.querySelector('video').playbackRate === 1")


def test_a_link_on_another_site_leads_in(browser: Any, server: Server) -> None:
    """Browsers hold strict cookies back on the way from another site, also after a redirect."""
    rater = Rater(browser, server, 1280, 900)
    link = f'<a href="{server.url}/join/token4">take part</a>'
    rater.page.route("http://panel.test/", lambda route: route.fulfill(body=link, content_type="text/html"))
    rater.page.goto("http://panel.test/")
    rater.page.click("a")
    rater.page.wait_for_selector("#agree")
    assert "token4" not in rater.page.url


def test_a_recording_that_does_not_play_can_be_reported(browser: Any, server: Server) -> None:
    rater = in_training(browser, server, "token3")
    rater.wait("document.activeElement.textContent === 'Play'")
    rater.page.route("**/media/*", lambda route: route.abort())
    begun: list[Any] = []
    rater.page.route("**/api/begin", lambda route: begun.append(route))
    rater.press("Enter")
    told = "document.getElementById('status').textContent.includes('does not play')"
    rater.wait(told)
    with rater.page.expect_request_finished(lambda one: one.url.endswith("/api/begin")):
        begun[0].continue_()
    rater.page.wait_for_timeout(100)
    assert rater.page.evaluate(told), "the answer that came later has wiped it away"
    rater.page.unroute("**/media/*")
    rater.press("Enter")
    rater.wait("document.getElementById('status').textContent === ''")
    rater.page.get_by_text("Something does not work").focus()
    rater.press("Enter", "Tab")
    rater.page.keyboard.type("<img src=x onerror=alert(1)>")
    rater.press("Tab", "Enter")
    rater.wait("document.querySelector('h1')?.textContent === 'Practice 2 of 2'")
