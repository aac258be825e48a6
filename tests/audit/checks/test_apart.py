"""Rules for texts in a process of their own: the same findings, and it ends with the audit."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr_gate.audit.checks import RULES, apart, run_rules
from asr_gate.audit.checks.apart import Apart, pays
from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.power import Calibration
from asr_gate.corpus import collected, rows
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus

TEXTS = [
    "the report was printed on thick paper",
    "[laughter] the report was printed",
    "",
    "двадцать пять страниц отчёта",
    "the rep\ufffdort was printed",
    "twenty pages and three covers",
    "20 pages and 3 covers",
    "page 3 of 20",
    "der Bericht wurde auf dickem Papier gedruckt und danach verschickt, sagte sie",
]
TEXT_RULES = [rule for rule in RULES if rule.texts_only]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """Rows on disk, two in a block, one of them renamed, with a defect for most rules."""
    with monkeypatch.context() as patch:
        patch.setattr(rows, "BLOCK", 2)
        patch.setattr(collected, "IN_MEMORY", 2)
        (tmp_path / "a.wav").write_bytes(b"")
        lines = [
            {"id": str(number % 8), "audio_filepath": "a.wav", "text": text, "lang": "en"}
            for number, text in enumerate(TEXTS)
        ]
        manifest = tmp_path / "m.jsonl"
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        yield Context(
            policy=load_policy(),
            content={},
            language="en",
            calibration=Calibration({}, {}, {}),
            absolute_thresholds={},
            corpus=read_corpus([manifest]),
        )


def test_another_process_finds_the_same(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not pays(context)
    expected = list(run_rules([], context))
    assert {"T006", "T008", "T009", "T010", "T011"} <= {found.code for found in expected}
    monkeypatch.setattr(apart, "FEW", 0)
    monkeypatch.setattr(apart, "usable_cores", lambda: 2)
    assert pays(context)
    asked: list[str] = []
    found = Apart.found

    def counted(self: Apart, code: str) -> Iterator[Found]:
        asked.append(code)
        return found(self, code)

    monkeypatch.setattr(Apart, "found", counted)
    assert list(run_rules([], context)) == expected
    assert set(asked) == {r.code for r in TEXT_RULES if context.policy.rules[r.code] != "off"}


class Unread(list[Judged]):
    """Audited rows that must not be looked at."""

    def __iter__(self) -> Iterator[Judged]:
        raise AssertionError("the other process has no audited rows")


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.code)
def test_rules_for_texts_look_at_no_audited_row(rule: Rule, context: Context) -> None:
    assert list(rule.find(Unread(), context)) == list(rule.find([], context))


def test_a_process_that_was_killed_is_told(context: Context) -> None:
    with Apart(TEXT_RULES, context) as other:
        os.kill(other._process.pid, signal.SIGKILL)
        with pytest.raises(UserError, match=r"rules for texts .*T010.*signal 9"):
            list(other.found("T010"))


def test_it_ends_with_its_input(context: Context) -> None:
    with Apart(TEXT_RULES, context) as other:
        assert other._process.stdin is not None
        os.kill(other._process.pid, signal.SIGSTOP)
        other._process.stdin.close()
        os.kill(other._process.pid, signal.SIGCONT)
        assert other._process.wait(60) == 1
