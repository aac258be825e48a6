"""A first week with a corpus that has 49 mistakes: from `asr init` to the plan of a training.

What each command prints is also what `docs/first-corpus.md` shows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asr_gate.corpus.cache import VARIABLE
from bench.first_corpus import PAGE, WIDTH, walk
from bench.week import Mistake, Row, build
from tests.e2e.asr import asr_here, report_in
from tests.once import made_once

STAYING = {Mistake.WORDS, Mistake.MARKUP}
"""A missing word is a warning, and markup is taken out of its text."""


@dataclass(frozen=True)
class Week:
    """The corpus, and what the commands said of it."""

    folder: Path
    rows: dict[str, Row]
    blocks: dict[str, str]
    """What they printed, by the name of a block of the page."""
    findings: dict[str, dict[str, Any]]
    """Of the first audit, by row."""

    def dropped(self) -> set[str]:
        """Ids of the rows that cleaning dropped."""
        logs = (self.folder / "data").rglob("*.dropped.jsonl")
        return {json.loads(line)["id"] for log in logs for line in log.read_text().splitlines()}


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    with made_once(tmp_path_factory, "week") as (folder, there):
        if not there:
            build(folder)
            _walk(folder)
    rows = {row.id: row for row in build(tmp_path_factory.mktemp("again"))}
    blocks, listed = (json.loads((folder / name).read_text()) for name in ("blocks", "findings"))
    return Week(folder, rows, blocks, {row["id"]: row for row in listed})


def _walk(folder: Path) -> None:
    findings = ""

    def run(words: list[str]) -> str:
        nonlocal findings
        done = asr_here(*words, cwd=folder)
        assert done.returncode == (20 if words == ["audit", "--all"] else 0), done.stderr
        if words[0] == "findings":
            findings = asr_here("findings", "--json", cwd=folder).stdout
        return done.stdout

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", WIDTH)
        patch.setenv("WANDB_DISABLED", "true")
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        # As at home: the second audit measures what has changed alone.
        patch.setenv(VARIABLE, "1")
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for name in ("CI", "ASR_AUDIO_ROOT"):
            patch.delenv(name, raising=False)
        (folder / "blocks").write_text(json.dumps(walk(folder, run)))
    (folder / "findings").write_text(findings)


def test_each_mistake_is_named_as_itself(week: Week) -> None:
    planted = {row.id: row.planted.code for row in week.rows.values() if row.planted}
    assert len(planted) == 49
    assert {row: week.findings[row]["code"] for row in planted} == planted
    for row in week.rows.values():
        excluded = week.findings.get(row.id, {"excluded": False})["excluded"]
        assert not excluded or row.planted, row.id


def test_cleaning_drops_what_is_wrong_and_nothing_else(week: Week) -> None:
    wrong = {r.id for r in week.rows.values() if r.planted and r.planted not in STAYING}
    assert week.dropped() == wrong
    fixed = [
        json.loads(line)["id"]
        for log in (week.folder / "data").rglob("*.fixed.jsonl")
        for line in log.read_text().splitlines()
    ]
    assert sorted(fixed) == sorted(
        row.id for row in week.rows.values() if row.planted is Mistake.MARKUP
    )
    left = report_in(week.folder / "reports" / "cleaned")
    assert left["dataset"]["utterances"] == len(week.rows) - len(wrong)
    assert {*left["domain_statistics"]} == {"studio", "phone", "reading"}


def test_the_cleaned_corpus_trains_on_its_own_splits(week: Week) -> None:
    assert report_in(week.folder / "reports" / "phase0")["decision"] == "STOP"
    cleaned = report_in(week.folder / "reports" / "cleaned")
    assert cleaned["decision"] in ("PROCEED", "CAUTION")
    kept = [row for row in week.rows.values() if row.id not in week.dropped()]
    splits = Counter(row.split for row in kept)
    assert splits["train"] > splits["test"] > splits["dev"] > 0
    assert re.search(
        rf"^ *rows +train {splits['train']} of {len(kept)} rows \(.*\), "
        rf"dev {splits['dev']}, test {splits['test']}; 0 excluded",
        week.blocks["train"],
        re.M,
    )


def test_the_page_shows_what_the_commands_print(week: Week) -> None:
    page = PAGE.read_text()
    for name, block in week.blocks.items():
        _, start, rest = page.partition(f"<!-- {name} -->\n")
        assert start, name
        assert _shape(rest.partition(f"<!-- /{name} -->")[0]) == _shape(block), name


def _shape(block: str) -> list[str]:
    """The lines without figures, quotes and lesser findings: processors differ in last digits."""
    text = re.sub(r" \(also .*\)", "", block)
    code = r"[A-Z]\d{3} \d+"
    text = re.sub(rf"Findings: {code}(?:,\s+{code})*", "Findings:", text)
    text = re.sub("█+ ", "", text)
    text = re.sub(r"'.*?'|(?<![A-Z\d])\d[\d.]*|─+", "#", text)
    return [" ".join(line.split()) for line in text.splitlines()]
