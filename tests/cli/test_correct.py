"""`asr correct` and `asr corrections`: verdicts, tables and proposals become a corrected corpus."""

from __future__ import annotations

import csv
import io
import json
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import soundfile

from asr_gate.audit.records.report import Report
from asr_gate.audit.report.schemas import SCHEMAS
from asr_gate.corpus.corrections import read_ledger
from asr_gate.corpus.read import read_corpus
from tests.audit.report.reports import finding, report_about

Asr = Callable[..., tuple[int, str, str]]

TEXTS = {
    "long": "the cat um sat",
    "other": "the dog sat",
    "formula": "=1 said",
    "good": "all is well",
}


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = []
    for number, (id, text) in enumerate(TEXTS.items()):
        soundfile.write(f"{id}.wav", np.full(16000, 0.1 * number), 16000)
        domain = "calls" if number % 2 else "studio"
        rows.append({"id": id, "audio_filepath": f"{id}.wav", "text": text, "domain": domain})
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path("train.jsonl")


def reviewed(manifest: Path) -> Report:
    """A report with tables: of `long` a word is not said, of `formula` nothing is heard."""
    folder = report_about(
        manifest,
        Path("reports/phase0"),
        finding("long", "A005"),
        finding("formula", "A001"),
    )
    utterance = dict.fromkeys(SCHEMAS["utterances"].names, 0.0) | {
        "domain": "d", "rules": [], "origin": "o", "speaker": None, "split": None, "language": "en",
        "audio": "x.wav", "activity": [], "unaligned": [], "length_mismatch": False,
        "low_quality": True, "unknown_characters": 0, "dropped_characters": 0,
    }  # fmt: skip
    words = TEXTS["long"].split()
    spoken = {"um": 0.1}
    tables = {
        "utterances": [utterance | {"id": id, "text": text} for id, text in TEXTS.items()],
        "words": [
            {
                "id": "long", "index": n, "word": word, "start": n, "end": n + 1, "confidence": 1,
                "spoken": spoken.get(word, 1.0), "replaced": 0.0, "kept": True,
            }
            for n, word in enumerate(words)
        ],
        "gaps": [
            {"id": "long", "index": n, "start": n, "end": n, "untranscribed": 0.0}
            for n in range(len(words) + 1)
        ],
        "heard": [
            {"id": "long", "index": n, "word": word, "start": n, "end": n + 1}
            for n, word in enumerate(words)
            if word != "um"
        ],
    }  # fmt: skip
    return with_tables(folder, tables)


def with_tables(folder: Path, tables: dict[str, Any]) -> Report:
    import hashlib

    digests = {}
    for name, rows in tables.items():
        file = folder / f"{name}.parquet"
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows, SCHEMAS[name]), file)
        digests[file.name] = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    file = folder / "alignment_report.json"
    report = Report.model_validate_json(file.read_bytes())
    report = report.model_copy(update={"tables": report.tables | digests}).sealed()
    file.write_bytes(report.to_bytes())
    return report


def verdicts(report: Report, *rows: dict[str, Any], name: str = "review.jsonl") -> Path:
    common = {
        "report": report.digest, "text": None, "start": None, "end": None, "note": "",
        "who": "dana", "at": "2026-03-01T10:00:00Z",
    }  # fmt: skip
    Path(name).write_text("".join(json.dumps(common | row) + "\n" for row in rows))
    return Path(name)


def texts_in(path: str = "train.corrected.jsonl") -> dict[str, str]:
    return {u.id: u.text for u in read_corpus([path]).utterances}


def test_verdicts_become_a_corrected_corpus_and_the_next_audit(manifest: Path, asr: Asr) -> None:
    report = reviewed(manifest)
    review = verdicts(
        report,
        {"id": "long", "verdict": "correct", "text": "the cat sat"},
        {"id": "other", "verdict": "unsure"},
        {"id": "other", "verdict": "trim", "start": 0.25, "end": 0.5},
        {"id": "formula", "verdict": "wrong"},
        {"id": "good", "verdict": "right"},
    )
    before = manifest.read_bytes()
    given = ("correct", "--data", manifest, "--corrections", review)
    files = sorted(Path.cwd().rglob("*"))
    code, out, err = asr(*given, "--dry-run")
    assert code == 0, err
    assert "3 would be applied" in out
    assert ["drop", "studio", "applied", "1"] in [line.split() for line in out.splitlines()]
    assert sorted(Path.cwd().rglob("*")) == files

    code, out, err = asr(*given, "--report", "reports/phase0")
    assert code == 0, err
    assert manifest.read_bytes() == before
    assert texts_in() == {"long": "the cat sat", "other": "the dog sat", "good": "all is well"}
    following = shlex.split(out.splitlines()[-1])
    assert following[:5] == ["asr", "audit", "train.corrected.jsonl", "--name", "corrected"]
    ledger = read_ledger(Path("train.corrected.jsonl.corrections.jsonl"))
    assert {(e.id, e.outcome, e.who, e.source) for e in ledger} == {
        ("long", "applied", "dana", "review"), ("other", "applied", "dana", "review"),
        ("formula", "applied", "dana", "review"), ("good", "nothing to do", "dana", "review"),
    }  # fmt: skip
    told = json.loads(asr(*given, "--json")[1])
    assert told["outcomes"] == {"applied": 3, "nothing_to_do": 1}
    assert told["written"][0]["trims"] == 1


def test_what_changed_since_the_review_is_told_and_left(manifest: Path, asr: Asr) -> None:
    report = reviewed(manifest)
    review = verdicts(report, {"id": "long", "verdict": "correct", "text": "x"},
                      {"id": "other", "verdict": "wrong"})  # fmt: skip
    manifest.write_text(manifest.read_text().replace("the dog sat", "the dogs sat"))
    given = ("correct", "--data", manifest, "--corrections", review, "--report", "reports/phase0")
    code, out, err = asr(*given)
    assert code == 0, err
    assert texts_in()["other"] == "the dogs sat"
    assert "train.jsonl:2: other: drop left out (conflict)" in out


def test_other_peoples_reports_and_corpora_are_refused(manifest: Path, asr: Asr) -> None:
    report = reviewed(manifest)
    other = report.model_copy(update={"digest": "sha256:" + "0" * 64})
    review = verdicts(other, {"id": "nobody", "verdict": "wrong"})
    given = ("correct", "--data", manifest, "--corrections", review)
    code, _, err = asr(*given, "--report", "reports/phase0")
    assert (code, "review.jsonl:1" in err) == (2, True)
    code, _, err = asr(*given)
    assert (code, "nobody" in err, len(err.splitlines())) == (2, True, 1)
    assert not Path("train.corrected.jsonl").exists()
    assert asr("correct", "--data", manifest)[0] == 2
    assert asr("correct", "--corrections", review)[0] == 2, "and no corpus"


def test_the_settings_name_the_corrected_corpus(manifest: Path, asr: Asr) -> None:
    Path("asr.toml").write_text('[corpus]\nmanifests = ["train.jsonl"]\n')
    Path("c.jsonl").write_text('{"id": "long", "action": "drop"}\n')
    code, out, err = asr("correct", "--corrections", "c.jsonl", "--write-settings")
    assert code == 0, err
    corpus = tomllib.loads(Path("asr.toml").read_text())["corpus"]
    assert corpus["manifests"] == ["train.corrected.jsonl"]
    assert out.splitlines()[-1].split() == ["asr", "audit", "--name", "corrected"]


def test_proposals_are_applied_only_when_asked_for_and_to_rows_nobody_judged(
    manifest: Path, asr: Asr
) -> None:
    report = reviewed(manifest)
    asked = ("--apply-proposals", "A005,A007", "--min-confidence", 0.5)
    given = ("correct", "--data", manifest, "--report", "reports/phase0")
    code, _, err = asr(*given, *asked)
    assert code == 0, err
    assert texts_in()["long"] == "the cat sat"
    (entry,) = read_ledger(Path("train.corrected.jsonl.corrections.jsonl"))
    assert (entry.source, entry.old_text) == ("proposal", TEXTS["long"])
    assert "nothing is written" in asr(*given, *asked[:3], 0.95)[1]
    assert "nothing is written" in asr(*given, "--apply-proposals", "A006", *asked[2:])[1]
    review = verdicts(report, {"id": "long", "verdict": "right"})
    assert "nothing is written" in asr(*given, *asked, "--corrections", review)[1]
    assert asr(*given, *asked[:2])[0] == 2, "how sure is not said"
    assert asr(*given, "--apply-proposals", "A001", *asked[2:])[0] == 2


def test_rows_go_out_worst_first_and_come_back(manifest: Path, asr: Asr) -> None:
    reviewed(manifest)
    code, out, err = asr("corrections", "export", "reports/phase0")
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out.removeprefix("\ufeff"))))
    assert [row["id"] for row in rows] == ["formula", "long"]
    assert (rows[0]["text"], rows[1]["proposed"]) == ("'=1 said", "the cat sat")
    rows[0]["verdict"] = "wrong"
    rows[1]["new_text"] = "the cat sat"
    with Path("back.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    code, out, err = asr("corrections", "import", "back.csv", "--out", "c.jsonl")
    assert code == 0, err
    code, _, err = asr("correct", "--data", manifest, "--corrections", "c.jsonl")
    assert code == 0, err
    direct = texts_in()
    assert direct == {k: v for k, v in TEXTS.items() if k != "formula"} | {"long": "the cat sat"}
    assert asr("correct", "--data", manifest, "--corrections", "back.csv")[0] == 0
    assert texts_in() == direct


def test_label_studio_tasks_come_back_with_their_annotations(manifest: Path, asr: Asr) -> None:
    reviewed(manifest)
    where = "/data/local-files/?d="
    given = ("corrections", "export", "reports/phase0", "--limit", 2, "--audio-prefix", where)
    assert asr(*given, "--out", "tasks.json")[0] == 0
    tasks = json.loads(Path("tasks.json").read_text())
    assert tasks[0]["data"]["audio"] == f"{where}x.wav"
    for one in tasks:  # as Label Studio writes what was submitted unchanged
        one["annotations"] = [{"result": one.pop("predictions")[0]["result"], "completed_by": 1}]
    Path("export.json").write_text(json.dumps(tasks))
    code, _, err = asr("correct", "--data", manifest, "--corrections", "export.json")
    assert code == 0, err
    assert texts_in() == TEXTS | {"long": "the cat sat"}
