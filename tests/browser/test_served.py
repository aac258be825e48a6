"""`asr review`'s page in a real browser: what is said is kept at once, by those who may say it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from asr_gate.audit.gate import read_report
from asr_gate.audit.review.verdicts import REVIEW_FILE, read_verdicts
from tests.audit.review.audits import write_audit
from tests.audit.review.test_server import Client, served
from tests.audit.review.verdicts import verdict


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A review in which Ali has called the first row right."""
    folder = write_audit(tmp_path)
    one = verdict("u00", "right", who="Ali", report=read_report(folder).digest)
    (folder / REVIEW_FILE).write_bytes(one.line())
    yield from served(folder)


def said(client: Client) -> list[tuple[str, str, str]]:
    return [(v.id, v.verdict, v.who) for v in read_verdicts(client.folder / REVIEW_FILE)]


def test_a_verdict_is_on_the_disk_when_the_page_says_so(tab: Page, client: Client) -> None:
    tab.goto(client.server.address)
    chosen = tab.locator("#list [aria-selected=true]")
    box = tab.locator("#utterance")
    tab.get_by_label("Your name").fill("Dana")
    tab.keyboard.press("Tab")
    expect(box.get_by_text("Ali: right")).to_be_visible()
    expect(box.get_by_text("Conflict")).to_have_count(0)
    tab.keyboard.press("2")
    expect(box.get_by_text("wrong: kept.")).to_be_visible()
    assert said(client) == [("u00", "right", "Ali"), ("u00", "wrong", "Dana")]
    expect(box.get_by_text("Conflict")).to_be_visible()
    expect(chosen).to_contain_text("conflict")

    tab.reload()
    expect(chosen).to_contain_text("wrong")
    expect(box.get_by_text("Ali: right")).to_be_visible()
    tab.get_by_label("State").select_option("in conflict")
    expect(tab.get_by_text("1 of 4")).to_be_visible()
    tab.keyboard.press("Escape")
    tab.keyboard.press("1")
    expect(box.get_by_text("right: kept.")).to_be_visible()
    expect(box.get_by_text("Conflict")).to_have_count(0)
    tab.keyboard.press("u")
    expect(box.get_by_text("Undone.")).to_be_visible()
    assert said(client)[-1] == ("u00", "wrong", "Dana"), "what was said before counts again"


def test_without_the_token_nothing_is_shown_or_kept(tab: Page, client: Client) -> None:
    def with_another(route: Route) -> None:
        route.continue_(headers={**route.request.headers, "x-token": "another"})

    tab.goto(client.server.address)
    tab.route("**/verdicts", with_another)
    tab.keyboard.press("j")
    tab.keyboard.press("2")
    expect(tab.get_by_text("Not saved")).to_be_visible()
    expect(tab.get_by_text("0 verdicts")).to_be_visible()
    assert said(client) == [("u00", "right", "Ali")]
    answer = tab.goto(client.server.address + "x")
    assert answer is not None and answer.status == 403
    expect(tab.get_by_text("u01")).to_have_count(0)
    tab.wrong.clear()  # type: ignore[attr-defined]  # the browser tells of what was refused
