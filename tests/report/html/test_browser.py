"""The report in headless Chromium: quick, quiet, narrow enough, and its playhead where the player is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report.html.conftest import Finished
from support.browser import Watched, open_browser
from support.hostile_text import hostile_texts

from avemo_harness.report.html.page import report_page
from avemo_harness.report.html.recordings import Recordings, embed
from avemo_harness.report.html.turns import Entry
from avemo_harness.report.scored_run import read_scored_run

pytestmark = pytest.mark.slow

DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as running:
        yield running


def write_page(file: Path, finished: Finished, entries: Sequence[Entry], recordings: Recordings) -> Path:
    page = report_page(read_scored_run(finished.folder), entries, recordings, ["a note"])
    file.write_text(page, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def page(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    return write_page(file, finished, finished.entries, embed(finished.entries, finished.sources))


def opened(browser: Any, file: Path, size: tuple[int, int] = DESKTOP, fragment: str = "") -> Watched:
    watched = Watched(browser, file.as_uri(), *size)
    watched.page.goto(file.as_uri() + fragment)
    watched.page.wait_for_selector("#list")
    return watched


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_fits_the_screen_and_says_nothing_to_the_console(browser: Any, page: Path, size: tuple[int, int]) -> None:
    watched = opened(browser, page, size)
    assert watched.page.locator("#list button").count() == 16
    for key in ("d0a/0", "d0a-d0b"):
        watched.page.locator("#list button", has_text=key).first.click()
        assert watched.page.inner_text("#detail h3") == key
        assert watched.fits
    watched.page.emulate_media(media="print")
    assert not watched.page.locator("#list").is_visible()
    assert watched.page.locator(".confusion").first.is_visible()
    assert watched.troubles == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_marks_are_raised_in_their_cells_and_no_measured_value_is_bold(
    browser: Any, page: Path, size: tuple[int, int]
) -> None:
    watched = opened(browser, page, size)
    table = watched.page.locator("table", has_text="CT-ECS")
    assert table.count() == 2
    measured, published = table.nth(0), table.nth(1)
    value = measured.locator("tbody tr", has_text="speaker").locator("td").first
    assert value.locator("sup").inner_text().startswith("D")
    assert value.evaluate("one => getComputedStyle(one).fontWeight") == "400"
    assert "Qwen2.5-Omni" not in measured.inner_text()
    assert "speaker" not in published.inner_text()
    assert "judged by the demo's judge" in watched.page.locator("ul.notes").first.inner_text()
    assert watched.fits


def test_the_list_shows_what_is_asked_for(browser: Any, page: Path) -> None:
    watched = opened(browser, page)

    def choose(name: str, value: str) -> str:
        watched.page.select_option(f"select[name={name}]", value)
        return str(watched.page.inner_text("#count"))

    # Three turns and a pair of the failing dialogue, and two turns of another that ask the very same.
    assert choose("outcome", "error") == "6 of 16 turns"
    assert choose("asked", "conflict") == "1 of 16 turns"
    assert choose("outcome", "") == "4 of 16 turns"
    assert choose("asked", "") == "16 of 16 turns"
    assert choose("emotion", "angry") == "5 of 16 turns"
    choose("emotion", "")
    watched.page.fill("input[name=text]", "dialogue 1.")
    assert watched.page.inner_text("#count") == "8 of 16 turns"


def test_arrows_go_from_turn_to_turn_and_an_address_names_one(browser: Any, page: Path) -> None:
    watched = opened(browser, page, fragment="#d1a%2F2")
    assert watched.page.inner_text("#detail h3") == "d1a/2"
    watched.page.locator("#list button").first.focus()
    watched.press("ArrowDown", "ArrowDown")
    third = watched.page.locator("#list button").nth(2)
    assert watched.page.inner_text("#detail h3") == third.get_attribute("data-key")
    assert third.get_attribute("aria-current") == "true"


@pytest.mark.parametrize("fragment", ["#%", "#%E0%A4", "#nobody"])
def test_an_address_that_names_no_turn_opens_the_first(browser: Any, page: Path, fragment: str) -> None:
    watched = opened(browser, page, fragment=fragment)
    assert watched.page.inner_text("#detail h3") == "d0a/0"
    assert watched.troubles == []


def test_on_paper_the_ink_is_dark_and_nothing_is_folded_away(browser: Any, page: Path) -> None:
    watched = opened(browser, page)
    watched.page.emulate_media(media="print", color_scheme="dark")
    ink = "getComputedStyle(document.body).color"
    assert watched.page.evaluate(ink) == "rgb(27, 31, 36)"
    assert watched.page.locator("details dl").is_visible()
    watched.page.emulate_media(media="screen", color_scheme="dark")
    assert watched.page.evaluate(ink) == "rgb(232, 234, 237)"
    assert not watched.page.locator("details dl").is_visible()


def left_of(watched: Watched) -> list[float]:
    """Where the playheads are, as shares of the plots."""
    shares: list[float] = watched.page.evaluate(
        "[...document.querySelectorAll('.playhead')].map((one) =>"
        " one.hidden ? -1 : parseFloat(one.style.left) / one.parentElement.clientWidth)"
    )
    return shares


def test_the_playhead_follows_the_player(browser: Any, page: Path) -> None:
    watched = opened(browser, page, fragment="#d1a%2F0")
    watched.wait("[...document.querySelectorAll('.players video, .players audio')].every((one) => one.readyState > 1)")
    assert left_of(watched) == [-1, -1]
    user_s, reply_s = watched.page.evaluate(
        "[...document.querySelectorAll('.players video, .players audio')].map((one) => one.duration)"
    )
    steps = watched.page.evaluate(
        "JSON.parse(document.getElementById('data').textContent).turns.find((one) => one.key === 'd1a/0')"
    )
    before, after = (len(steps[who]["valence"]) / steps[who]["rate_hz"] for who in ("user", "reply"))
    for player, time, offset in (("video", user_s / 2, 0.0), ("audio", reply_s / 2, before)):
        watched.page.evaluate(f"document.querySelector('.players {player}').currentTime = {time}")
        position = (offset + time) / (before + after)
        watched.wait(
            "[...document.querySelectorAll('.playhead')].every((one) => Math.abs("
            f"parseFloat(one.style.left) / one.parentElement.clientWidth - {position}) < 0.02)"
        )
    watched.page.evaluate("document.querySelector('.players video').currentTime = 0")
    watched.wait("parseFloat(document.querySelector('.playhead').style.left) < 2")
    watched.page.evaluate("void document.querySelector('.players video').play()")
    watched.wait("parseFloat(document.querySelector('.playhead').style.left) > 20")
    assert watched.troubles == []


def test_a_click_on_a_curve_plays_from_there(browser: Any, page: Path) -> None:
    watched = opened(browser, page, fragment="#d1a%2F0")
    watched.wait("[...document.querySelectorAll('.players video, .players audio')].every((one) => one.readyState > 1)")
    box = watched.page.locator(".u-over").first.bounding_box()
    watched.page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 10)
    watched.wait("document.querySelector('.players audio').currentTime > 0.1")
    assert watched.page.evaluate("document.querySelector('.players video').currentTime") == 0


def test_two_thousand_turns_are_ten_megabytes_of_which_a_screenful_is_drawn(
    browser: Any, finished: Finished, tmp_path: Path
) -> None:
    entry = finished.entry("d1a/4")
    curve = {**entry.shown["user"], "valence": [0.123] * 40, "arousal": [0.456] * 40}
    answers = [
        {**one, "text": f"{one.get('text', '')} " + "I hear that you are worried. " * 12}
        for one in entry.shown["answers"]
    ]
    shown = {**entry.shown, "user": curve, "reply": curve, "answers": answers}
    entries = [replace(entry, shown={**shown, "key": f"d{n}/4"}) for n in range(2_000)]
    file = write_page(tmp_path / "report.html", finished, entries, Recordings())
    assert file.stat().st_size <= 10_000_000
    watched = opened(browser, file)
    assert watched.page.inner_text("#count") == "2,000 of 2,000 turns"
    assert watched.page.inner_text("#detail h3") == "d0/4"
    assert watched.page.evaluate("document.querySelectorAll('*').length") < 5_000


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_hostile_texts_in_every_field_stay_text(
    browser: Any, finished: Finished, tmp_path: Path, size: tuple[int, int]
) -> None:
    first = finished.entries[0]
    entries = []
    for number, text in enumerate(hostile_texts()):
        hostile = {**dict.fromkeys(("verdict", "label", "text", "why"), text), "flags": [text], "values": {text: 0.5}}
        shown = {
            **first.shown,
            **dict.fromkeys(("group", "dialogue", "gold", "said"), text),
            "answers": [{**one, **hostile} for one in first.shown["answers"]],
            "key": f"{number} {text}",
        }
        entries.append(replace(first, shown=shown))
    watched = opened(browser, write_page(tmp_path / "report.html", finished, entries, Recordings()), size)
    title = watched.page.title()
    while watched.page.locator("#more").is_visible():
        watched.page.evaluate("document.getElementById('more').click()")
    watched.page.evaluate("for (const one of document.querySelectorAll('#list button')) one.click()")
    for index in range(0, 500, 50):
        watched.page.evaluate(f"document.querySelectorAll('#list button')[{index}].click()")
        assert watched.fits
        assert (
            watched.page.evaluate("document.querySelectorAll('#detail script, img, iframe, #list script').length") == 0
        )
    assert watched.page.locator("#list button").count() == 500
    assert watched.page.title() == title
    assert watched.troubles == []
