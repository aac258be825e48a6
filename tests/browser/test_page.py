"""`report.html` in a real browser: it opens, plays, obeys the keyboard, and runs nobody's text."""

from __future__ import annotations

import copy
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from asr_gate.corpus.text.plain import plain
from tests.browser.conftest import write_page
from tests.browser.hostile import HOSTILE

HEBREW = "שלום עולם 12 abc"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def chosen(tab: Page) -> Locator:
    return tab.locator("#list [aria-selected=true]")


def plays(tab: Page) -> None:
    """The time of the player moves on."""
    clock = tab.locator("#utterance .timeline p")
    expect(clock).to_have_text(re.compile(r"^(0\.[3-9]|[1-9])"), timeout=10_000)


def rows_like(data: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    """The same page with one row a text."""
    found = copy.deepcopy(data)
    like = next(row for row in found["rows"] if row.get("words"))
    found["rows"] = [
        {**like, "id": f"row-{n}", "text": text, "words": [[plain(text), 0.1, 0.5, "unsaid"]],
         "heard": [[text, 0.1, 0.5]],
         "findings": [[next(iter(data["rules"])), "error", text, 0.1, 0.5]]}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    return found


@pytest.mark.parametrize("where", ["disk", "server"])
def test_it_opens_and_plays(
    where: str, tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    path = write_page(tmp_path, data, sound)
    with served(tmp_path) as address:
        tab.goto(path.as_uri() if where == "disk" else f"{address}/report.html")
        expect(tab.locator("h1")).to_have_text(data["decision"].replace("_", " "))
        expect(chosen(tab)).to_be_visible()
        expect(tab.get_by_text("What this audit can detect")).to_be_visible()
        tab.locator("#list").focus()
        tab.keyboard.press(" ")
        plays(tab)


def test_rows_are_drawn_against_those_whose_text_they_say(
    tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    (point,) = data["pairing"]["points"]
    tab.goto(write_page(tmp_path, data, sound).as_uri())
    picture = tab.get_by_role("img", name="Whose text is said")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_attribute("width", re.compile("[1-9]"))
    figure = tab.get_by_role("figure").filter(has=picture)
    figure.get_by_text("as a table").click()
    expect(figure.get_by_role("cell", name=point[2], exact=True)).to_be_visible()
    tab.get_by_label("Text or id").fill(point[2])
    tab.get_by_text("It says the text of another row").scroll_into_view_if_needed()
    tab.get_by_role("button", name="Correct with it").last.click()
    expect(tab.get_by_label("What is said")).to_have_value("letter letter")
    tab.goto(write_page(tmp_path, {**data, "pairing": None}, sound).as_uri())
    expect(tab.locator("h1")).to_be_visible()
    expect(picture).to_have_count(0)


def test_what_is_too_large_lies_beside_it_and_plays(
    tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    path = write_page(tmp_path, data, sound, inline_bytes=1)
    assert len(list((tmp_path / "report_files").iterdir())) == len(data["rows"])
    tab.goto(path.as_uri())
    tab.locator("#list").focus()
    tab.keyboard.press(" ")
    plays(tab)


def test_from_the_first_to_the_last_by_keyboard(
    tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    tab.goto(write_page(tmp_path, data, sound).as_uri())
    tab.locator("#list").focus()
    count = len(data["rows"])
    for number in range(count):
        expect(chosen(tab)).to_have_attribute("aria-posinset", str(number + 1))
        tab.keyboard.press(str(number % 2 + 1))
        tab.keyboard.press("j")
    tab.keyboard.press("3")
    tab.keyboard.type("corrected text")
    tab.keyboard.press("Enter")
    tab.keyboard.press("u")
    tab.keyboard.press("k")
    # A name that is given late is that of what was said before.
    tab.get_by_label("Your name").fill("dana")
    tab.keyboard.press("Escape")
    with tab.expect_download() as download:
        tab.keyboard.press("x")
    lines = [json.loads(one) for one in Path(download.value.path()).read_text().splitlines()]
    assert {one["id"]: one["verdict"] for one in lines} == {
        row["id"]: ("right", "wrong")[n % 2] for n, row in enumerate(data["rows"])
    }
    assert {one["report"] for one in lines} == {data["digest"]}
    assert {one["who"] for one in lines} == {"dana"}
    # The browser keeps them.
    tab.reload()
    expect(tab.get_by_text(f"{count} verdicts")).to_be_visible()


def test_a_text_is_corrected_and_an_audio_trimmed(
    tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    tab.goto(write_page(tmp_path, data, sound).as_uri())
    tab.locator("#list").focus()
    tab.keyboard.press("3")
    tab.keyboard.type("what is said")
    tab.keyboard.press("Enter")
    tab.keyboard.press("j")
    tab.keyboard.press("4")
    expect(tab.get_by_role("status").filter(has_text="Mark the span first")).to_be_visible()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("[")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("]")
    tab.keyboard.press("4")
    with tab.expect_download() as download:
        tab.keyboard.press("x")
    first, second = map(json.loads, Path(download.value.path()).read_text().splitlines())
    assert (first["verdict"], first["text"]) == ("correct", "what is said")
    assert (second["verdict"], second["start"], second["end"]) == ("trim", 0.5, 1.0)


def test_a_row_that_nobody_sampled_takes_every_key(
    tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    known = ("id", "origin", "domain", "speaker", "split", "cause", "excluded", "findings")
    rows = [{name: data["rows"][0][name] for name in known}]
    tab.goto(write_page(tmp_path, {**data, "rows": rows}, sound).as_uri())
    for key in (" ", "f", "l", "s", "[", "]", "4", "p", "ArrowLeft", "n", "u", "m", "Escape", "2"):
        tab.keyboard.press(key)
    expect(tab.get_by_text("1 verdict", exact=True)).to_be_visible()
    tab.goto(write_page(tmp_path, {**data, "rows": []}, sound).as_uri())
    for key in ("j", "n", "2", "p", "x"):
        tab.keyboard.press(key)
    expect(tab.get_by_text("No utterance matches.")).to_be_visible()


def test_every_hostile_text_is_shown_as_text(
    tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    assert len(HOSTILE) == 500
    shown = rows_like(data, HOSTILE)
    tab.goto(write_page(tmp_path, shown, sound).as_uri())
    tab.locator("#list").focus()
    told = tab.evaluate(
        """() => {
          const [list, told] = [document.getElementById("list"), []];
          for (let number = 0; number < 500; number += 1) {
            const word = document.querySelector(".word").textContent;
            const strange = document.querySelectorAll("main :is(img, iframe, form, base, script)");
            told.push([word, strange.length]);
            list.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}));
          }
          return told;
        }"""
    )
    assert told == [[plain(text), 0] for text in HOSTILE]


def test_right_to_left_text_and_left_to_right_time(
    tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    shown = rows_like(data, [HEBREW, "left to right"])
    tab.goto(write_page(tmp_path, shown, sound).as_uri())
    direction = "getComputedStyle(document.querySelector('{}')).direction"
    assert tab.evaluate(direction.format(".transcript")) == "rtl"
    assert tab.evaluate(direction.format(".timeline")) == "ltr"
    tab.locator("#list").focus()
    tab.keyboard.press("j")
    assert tab.evaluate(direction.format(".transcript")) == "ltr"


def test_five_thousand_rows_are_a_list_of_a_few_elements(
    tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    shown = rows_like(data, [f"text number {n}" for n in range(5000)])
    tab.goto(write_page(tmp_path, shown, sound).as_uri())
    tab.locator("#list").focus()
    tab.keyboard.press("End")
    expect(chosen(tab)).to_have_attribute("aria-posinset", "5000")
    assert tab.locator("#list [role=option]").count() < 60
    tab.get_by_label("Text or id").fill("number 4321")
    expect(tab.get_by_text("1 of 5000")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(
    scheme: Any, tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path
) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.goto(write_page(tmp_path, data, sound).as_uri())
    tab.locator("#list").focus()
    tab.keyboard.press("1")
    found = Axe().run(tab).response["violations"]
    tab.wrong.clear()  # type: ignore[attr-defined]  # the checker brings a style of its own
    serious = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []


def test_it_fits_a_phone(tab: Page, data: dict[str, Any], sound: Path, tmp_path: Path) -> None:
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto(write_page(tmp_path, data, sound).as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
