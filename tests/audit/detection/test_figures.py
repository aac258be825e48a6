"""Figures of measured rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.audit.detection.figures import KNOWN, detection, halves
from asr_gate.audit.detection.files import CURVES_FILE, FIGURES_FILE, write_figures
from asr_gate.audit.detection.known import read_known
from asr_gate.corpus.errors import UserError
from tests.audit.controls.rows import POLICY, normal_rows


def test_known_errors_are_found_and_no_false_alarms(tmp_path: Path) -> None:
    rows = normal_rows(80, 0, defects={"deletion": 0.05})
    found = detection(
        rows, POLICY, wrong=[row.id for row in rows[:3]], doubtful=[rows[3].id], resamplings=10
    )
    assert found.right == 76
    assert (found.kinds[KNOWN].bad, found.kinds["doubled"].bad) == (3, 76)
    assert found.kinds[KNOWN].figures.auroc.value == 1.0
    assert found.held_out.false_alarms["deletion"] < 0.02
    assert found.held_out.found["doubled"] > 0.95
    write_figures(tmp_path / "new", {"clean": found}, {"aligner": "a"})
    content = json.loads((tmp_path / "new" / FIGURES_FILE).read_text(encoding="utf-8"))
    assert content["conditions"]["clean"]["kinds"][KNOWN]["bad"] == 3
    lines = (tmp_path / "new" / CURVES_FILE).read_text(encoding="utf-8").splitlines()
    assert lines[0].split(",")[:2] == ["condition", "kind"]
    assert len(lines) > 100


def test_halves_have_no_speaker_in_common() -> None:
    rows = normal_rows(40, 0)
    speakers = {row.id: f"s{number // 8}" for number, row in enumerate(rows[:30])}
    one, two = halves(rows, speakers, "0")
    assert sorted(row.id for row in (*one, *two)) == sorted(row.id for row in rows)
    assert abs(len(one) - len(two)) <= 8
    assert not {speakers.get(r.id, r.id) for r in one} & {speakers.get(r.id, r.id) for r in two}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[[row]]\nid = 'a'\nverdict = 'wrong'", "row.0.how"),
        ("[[row]]\nid = 'a'\nverdict = 'bad'\nhow = 'x'", "row.0.verdict"),
        ("[[row]]\nid = 'a'\nverdict = 'wrong'\nhow = 'x'\n" * 2, "twice"),
        ("row = ", "not TOML"),
    ],
)
def test_what_is_wrong_with_a_list_of_known_rows_is_said(
    tmp_path: Path, content: str, says: str
) -> None:
    path = tmp_path / "known.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        read_known(path)
    with pytest.raises(UserError, match="no such file"):
        read_known(tmp_path / "none.toml")
