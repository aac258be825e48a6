"""What people's verdicts do to a report, and what stays of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from asr_gate.audit.gate import NoVerdict, read_report, verify
from asr_gate.audit.gate.signature import sign
from asr_gate.audit.gate.tables import load
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.excluded import excluded
from asr_gate.audit.records.report import AUDITED_FILE, AUDITED_SIGNATURE_FILE, SIGNATURE_FILE
from asr_gate.audit.report.next_steps import Data
from asr_gate.audit.review.apply import apply
from asr_gate.audit.review.page_file import write_page
from asr_gate.audit.review.verdicts import REVIEW_FILE, Verdict
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from tests.audit.gate.test_binding import write_keys
from tests.audit.report.reports import finding
from tests.audit.review.audits import FLAGGED, ROWS, write_audit
from tests.audit.review.verdicts import verdict


def give(folder: Path, verdicts: Sequence[Verdict], name: str = REVIEW_FILE) -> Path:
    """Write verdicts about the audit of a folder."""
    digest = read_report(folder).audit_digest
    path = folder / name
    path.write_bytes(b"".join(one.model_copy(update={"report": digest}).line() for one in verdicts))
    return path


def blind(wrong: Sequence[str]) -> list[Verdict]:
    ids = [f"u{number:02d}" for number in range(ROWS)]
    return [verdict(i, "wrong" if i in wrong else "right", blind=True) for i in ids]


def test_right_rows_are_kept_with_the_reason_and_wrong_ones_are_excluded(tmp_path: Path) -> None:
    folder = write_audit(tmp_path)
    (folder / "clean.jsonl").write_text("{}")
    give(
        folder,
        [
            verdict("u00", "right", who="Dana"),
            verdict("u01", "wrong", who="Dana"),
            verdict("u10", "bad_audio", who="Dana", note="a dog barks"),
            verdict("u11", "unsure"),
            verdict("u02", "right", who="Dana"),
            verdict("u02", "wrong", who="Ali"),
        ],
    )
    done = apply(folder, [])
    report = read_report(folder)
    assert report == done.report and report.review is not None
    assert excluded(report).keys() == {"u01", "u02", "u03", "u10"}
    assert report.review.right == {"u00": "Dana"}
    assert "a dog barks" in excluded(report)["u10"]
    assert report.review.conflicts == ["u02"] == [one.id for one in done.conflicts]
    assert report.review.counts == {
        "bad_audio": 1,
        "conflict": 1,
        "right": 1,
        "unsure": 1,
        "wrong": 1,
    }
    (kept,) = (one for one in report.findings if one.id == "u00")
    assert kept.message and not kept.counts
    assert report.rules["R001"] == 2
    assert report.review.estimate is None, "nothing was judged blind"
    assert "a dog barks" in (folder / "report.md").read_text()
    assert "a dog barks" in (folder / "junit.xml").read_text()
    assert not (folder / "clean.jsonl").exists(), "it holds what the report excludes now"


def data_of(page: Path) -> dict[str, Any]:
    """What a page shows."""
    found = re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_is_made_anew_with_the_audio_that_it_has(tmp_path: Path) -> None:
    folder = write_audit(tmp_path)
    manifest = tmp_path / "train.jsonl"
    found = load(folder)
    page = write_page(found, read_corpus([manifest]), load_policy().report, Data([str(manifest)]))
    audited = data_of(page)
    assert audited["sounds"].keys() == set(FLAGGED) and audited["review"] is None
    give(folder, [verdict("u00", who="Dana"), verdict("u19", "wrong", who="Dana")])
    (tmp_path / "u01.wav").unlink()  # nobody needs the audio again
    apply(folder, [])
    shown = data_of(page)
    assert shown["sounds"] == audited["sounds"]
    assert shown["digest"] == audited["digest"], "verdicts name the audit"
    assert (shown["review"]["right"], shown["review"]["wrong"]) == (1, 1)
    rows = {row["id"]: row for row in shown["rows"]}
    assert not rows["u00"]["excluded"] and "Dana" in rows["u00"]["people"]
    assert rows["u19"]["excluded"] and "Dana" in rows["u19"]["findings"][0][2]
    # Of another audit's page, or of what is none, nothing is taken over.
    other = page.read_text().replace(audited["digest"], f"sha256:{'0' * 64}")
    for content in (other, "<html>", other.replace("inline", "onload")):
        page.write_text(content)
        apply(folder, [])
        assert data_of(page)["sounds"] == {}


def test_copies_are_no_matter_of_listening(tmp_path: Path) -> None:
    folder = write_audit(tmp_path, findings=[finding("u00", "D004"), finding("u01", "A008")])
    give(folder, [verdict("u00"), verdict("u01")])
    assert excluded(apply(folder, []).report).keys() == {"u00"}


def test_what_was_audited_stays_beside_it_and_is_what_is_reviewed_again(tmp_path: Path) -> None:
    folder = write_audit(tmp_path)
    before = read_report(folder)
    private, public = write_keys(tmp_path)
    sign(before, folder, private)
    give(folder, [verdict("u00")])
    assert apply(folder, []).signature
    first = read_report(folder)
    assert first.audit_digest == before.digest != first.digest
    assert read_report(folder / AUDITED_FILE) == before
    assert (folder / AUDITED_SIGNATURE_FILE).exists() and not (folder / SIGNATURE_FILE).exists()
    with pytest.raises(NoVerdict):
        verify(folder, "r", verify_key=public)
    give(folder, [verdict("u00"), verdict("u01")])
    other = give(folder, [verdict("u01", "wrong", who="Ali")], "ali.jsonl")
    assert apply(folder, [other]).report.review != first.review
    other.unlink()
    give(folder, [verdict("u00")])
    again = apply(folder, [])
    assert again.report == first and not again.signature
    (folder / AUDITED_FILE).unlink()
    with pytest.raises(NoVerdict):
        apply(folder, [])


def test_verdicts_about_other_audits_and_rows(tmp_path: Path) -> None:
    folder = write_audit(tmp_path)
    with pytest.raises(UserError, match="no verdicts"):
        apply(folder, [])
    own = give(folder, [verdict("u00")])
    own.write_bytes(own.read_bytes() + verdict("u01").line())
    assert apply(folder, []).older == 1, "an earlier audit of the same folder"
    stranger = folder / "other.jsonl"
    stranger.write_bytes(verdict("u01").line())
    with pytest.raises(UserError, match=r"other\.jsonl:1"):
        apply(folder, [stranger])
    with pytest.raises(UserError, match="nobody"):
        apply(folder, [give(folder, [verdict("nobody")], "more.jsonl")])


def test_the_estimate_decides_where_the_policy_says_so(tmp_path: Path) -> None:
    policy = load_policy().model_dump(mode="json")
    policy["decision"]["review_decides_from"] = ROWS
    folder = write_audit(tmp_path, policy=policy)
    give(folder, blind(FLAGGED)[1:])
    few = apply(folder, []).report
    assert few.review is not None and not few.review.decides and few.decision == "PROCEED"
    give(folder, blind(FLAGGED))
    all_of_them = apply(folder, []).report
    assert all_of_them.review is not None and all_of_them.review.decides
    assert all_of_them.decision != "PROCEED", "4 of 20 are wrong"
    assert all_of_them.review.decision == "PROCEED"
    assert "review_decides_from" in all_of_them.reasons[-1]


@pytest.mark.parametrize("decision", ["PROCEED", "NO_VERDICT"])
def test_the_report_says_how_right_the_audit_was(tmp_path: Path, decision: str) -> None:
    folder = write_audit(tmp_path, decision=decision)
    give(folder, blind(["u00", "u01", "u02", "u19"]))
    review = apply(folder, []).report.review
    assert review is not None
    assert review.blind.model_dump() == {
        "flagged": 4, "flagged_wrong": 3, "others": 16, "others_wrong": 1, "unsure": 0
    }  # fmt: skip
    assert review.precision is not None and review.precision.rate == 0.75
    assert review.recall is not None and review.recall.rate == pytest.approx(0.75)
    assert review.estimate is not None and review.estimate.rate == pytest.approx(0.2)
    assert not review.decides


def test_all_excluded_rows_count_if_all_of_them_were_judged(tmp_path: Path) -> None:
    folder = write_audit(tmp_path)
    sample = [verdict(i, "right", blind=True) for i in ("u00", "u10", "u11")]
    give(folder, [*sample, verdict("u01", "wrong"), verdict("u02", "wrong")])
    few = apply(folder, []).report.review
    give(folder, [*sample, *(verdict(i, "wrong") for i in FLAGGED[1:])])
    every = apply(folder, []).report.review
    assert few is not None and few.precision is not None and few.precision.rate == 0
    assert every is not None and every.precision is not None and every.precision.rate == 0.75
    assert every.blind == few.blind


def test_the_gate_asks_for_rows_that_people_judged(tmp_path: Path) -> None:
    folder = write_audit(tmp_path)
    asked = load_policy()
    asked = asked.model_copy(update={"gate": asked.gate.model_copy(update={"min_reviewed": ROWS})})
    with pytest.raises(NoVerdict, match=r"judged 0 rows.*min_reviewed"):
        verify(folder, "r", policy=asked)
    give(folder, [verdict(one.id, "right") for one in blind([])])
    apply(folder, [])
    with pytest.raises(NoVerdict, match="judged 0 rows"):
        verify(folder, "r", policy=asked)
    give(folder, blind([]))
    apply(folder, [])
    assert verify(folder, "r", policy=asked).review is not None
