"""Cases from results, audits and logs, and data made of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.corpus.corrections import read_corrections
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.rounds.cases.case import Case
from asr_gate.rounds.cases.export import as_corrections, as_manifest, require_rows
from asr_gate.rounds.cases.sources import cases_of
from tests.train.results import lines, spoiled, write

EXAMPLE = Path(__file__).parents[3] / "reports" / "example"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_result_gives_its_rows_with_errors_and_where_their_audio_is(here: Path) -> None:
    rows = lines(6)
    write(here / "result.json", [*rows[:4], *spoiled(rows[4:], 1.0)])
    (bare, _) = cases_of(here / "result.json")
    assert (bare.audio, bare.domain, bare.reference) == (None, "kan_clean", rows[4]["reference"])
    (here / "m.jsonl").write_text(
        "".join(
            json.dumps({"id": row["id"], "audio_filepath": "a.wav", "offset": n, "duration": 1.0,
                        "text": row["reference"]}) + "\n"
            for n, row in enumerate(rows)
        )
    )  # fmt: skip
    first, second = cases_of(here)
    assert (first.row, second.row) == ("u0004", "u0005")
    assert (first.audio, first.offset, first.duration) == (str(here / "a.wav"), 4.0, 1.0)
    assert first.origin == "m.jsonl:5"
    assert first.key == bare.key  # where the audio lies makes no other case of it
    changed = (here / "m.jsonl").read_text().replace('"text": "', '"text": "oh ')
    (here / "m.jsonl").write_text(changed)
    assert {one.audio for one in cases_of(here)} == {None}  # these are other rows now
    assert len(first.operations) == len(rows[4]["reference"].split())


def test_an_audit_gives_its_rows_with_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE.parents[1])
    found = cases_of(EXAMPLE)
    assert found
    assert all(one.codes and one.model.startswith("sha256:") for one in found)
    proposed = [one for one in found if one.hypothesis is not None and one.reference]
    assert all(one.operations for one in proposed)
    assert {one.source for one in found} == {"audit"}
    assert all(one.start is None or one.end is not None for one in found)


def test_a_log_gives_what_is_not_known_to_be_right(here: Path) -> None:
    (here / "log.jsonl").write_text(
        '{"audio": "a.wav", "hypothesis": "good mourning", "reference": "good morning"}\n\n'
        '{"audio": "a.wav", "hypothesis": "right", "reference": "Right."}\n'
        '{"audio": "a.wav", "hypothesis": "what?", "offset": 2.5, "latency_ms": 7, "model": "v7"}\n'
    )
    first, second = cases_of(here / "log.jsonl")
    assert (first.row, first.origin) == ("a.wav", str(here / "log.jsonl") + ":1")
    assert [one.kind for one in first.operations] == ["near_sound"]
    assert (second.row, second.model, second.operations) == ("a.wav@2.5", "v7", ())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "log.jsonl:1: not an entry"),
        ('{"audio": "a.wav"}', "hypothesis"),
        ('{"audio": "a.wav", "hypothesis": 7}', "hypothesis"),
        ('{"audio": "a.wav", "hypothesis": "x", "start": 2.0, "end": 1.0}', "before it begins"),
        ('{"audio": "a.wav", "hypothesis": "x", "offset": NaN}', "offset"),
    ],
)
def test_what_is_no_source_is_one_line(here: Path, line: str, says: str) -> None:
    (here / "log.jsonl").write_text(line)
    with pytest.raises(UserError, match=says) as error:
        cases_of(here / "log.jsonl")
    assert "\n" not in str(error.value)
    for name in ("none", "."):
        with pytest.raises(UserError):
            cases_of(here / name)


def logged(here: Path, row: str, **more) -> Case:
    (here / "audio").mkdir(exist_ok=True)
    (here / "audio" / "a.wav").write_bytes(b"RIFF")
    given = {"reference": "green tea", "hypothesis": "greed", "audio": str(here / "audio/a.wav")}
    return Case(source="evaluation", row=row, model="m", **given | more)


def test_a_manifest_has_every_row_once_with_the_best_text(here: Path) -> None:
    cases = [
        logged(here, "a", status="corrected", correction="green tee"),
        logged(here, "a", hypothesis="later, nobody looked at it"),
        logged(here, "b", offset=1.5, duration=2.0, language="en", domain="phone"),
        logged(here, "c", status="dropped"),
        logged(here, "d", reference=None),
        logged(here, "e", audio=None),
        logged(here, "f", audio=str(here / "gone.wav")),
    ]
    made = as_manifest(cases, here / "set.jsonl")
    assert (made.rows, made.no_text, made.no_audio) == (2, 1, 2)
    assert made.outside is None
    assert as_manifest(cases, here / "audio/inner/set.jsonl").outside == str(here / "audio")
    (here / "set.jsonl").write_bytes(made.content)
    a, b = read_corpus([here / "set.jsonl"]).utterances
    assert (a.id, a.text) == ("a", "green tee")
    assert (b.offset, b.duration, b.lang, b.domain) == (1.5, 2.0, "en", "phone")
    with pytest.raises(UserError, match="no case to export: 1 have no text"):
        require_rows(as_manifest(cases[4:5], here / "set.jsonl"))


def test_decisions_become_corrections_that_asr_correct_reads(here: Path) -> None:
    corrected = logged(here, "a", status="corrected", correction="green tee", who="Dana")
    cases = [
        corrected,
        replace(corrected, hypothesis="the same row, another mistake"),
        logged(here, "b", status="confirmed"),
        logged(here, "c", status="dropped"),
        logged(here, "d"),
        replace(corrected, source="production", row="e"),
    ]
    (here / "c.jsonl").write_bytes(as_corrections(cases))
    found = read_corrections(here / "c.jsonl")
    assert [(one.id, one.action) for one in found] == [("a", "text"), ("b", "keep"), ("c", "drop")]
    assert (found[0].old_text, found[0].new_text, found[0].who) == (
        "green tea",
        "green tee",
        "Dana",
    )
