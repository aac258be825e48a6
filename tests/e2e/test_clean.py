"""`asr clean`: the audited corpus without the rows that the audit excluded."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from asr_gate.audit.records.report import Report
from tests.e2e.asr import asr_here, one_line, report_in
from tests.speech import EXAMPLE, PROCEED


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The bundled corpus, where it may be written to."""
    return shutil.copytree(EXAMPLE, tmp_path / "corpus")


@pytest.mark.usefixtures("measured")
def test_a_stopped_corpus_is_cleaned_and_audits_again(
    audited: Path, corpus: Path, tmp_path: Path
) -> None:
    report = audited / "reports" / "stop"
    manifest = corpus / "stop.jsonl"
    done = asr_here("clean", report, "--data", manifest, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    found = report_in(report)
    (written,) = told.pop("written")
    codes = {group["code"] for group in told["dropped"]}
    assert codes >= {"A012", "S003", "T001"}
    assert (told["report"], told["digest"]) == (str(report), found["digest"])
    assert (told["not_sampled"], told["fixed"]) == (0, 0)
    gone = found["low_quality_count"] + len(found["skipped"])
    assert written == {
        "manifest": str(manifest),
        "path": str(corpus / "stop.clean.jsonl"),
        "drop_log": str(corpus / "stop.clean.jsonl.dropped.jsonl"),
        "fix_log": None,
        "kept": found["dataset"]["utterances"] - found["low_quality_count"],
        "dropped": gone,
        "fixed": 0,
    }
    assert sum(group["rows"] for group in told["dropped"]) == gone
    before = manifest.read_bytes().splitlines(keepends=True)
    after = Path(written["path"]).read_bytes().splitlines(keepends=True)
    assert len(after) == written["kept"]
    assert [line for line in before if line in set(after)] == after

    drop_log = [json.loads(line) for line in Path(written["drop_log"]).read_text().splitlines()]
    assert len(drop_log) == gone
    for line in drop_log:
        name, number = line["origin"].rsplit(":", 1)
        assert name == str(manifest)
        assert json.loads(before[int(number) - 1])["id"] == line["id"]
        skipped = line["reason"] != "low quality"
        assert skipped or any(finding["severity"] == "error" for finding in line["findings"])

    command = shlex.split(told["next"])[1:]
    again = asr_here(*command, "--name", "again", "--no-wandb", cwd=tmp_path)
    assert again.returncode in (0, 20), again.stderr
    assert report_in(tmp_path / "reports" / "again")["dataset"]["utterances"] == written["kept"]
    gate = asr_here("gate", "reports/again", "--data", written["path"], cwd=tmp_path)
    assert gate.returncode == again.returncode
    once_more = asr_here("clean", report, "--data", manifest, cwd=tmp_path)
    assert once_more.returncode == 0
    assert "rows kept" in once_more.stdout
    assert "not audited" not in once_more.stdout
    assert Path(written["path"]).read_bytes() == b"".join(after)


def test_texts_of_other_rows_are_put_back_where_that_is_asked(
    audited: Path, corpus: Path, tmp_path: Path
) -> None:
    report, manifest = audited / "reports" / "stop", corpus / "stop.jsonl"
    done = asr_here("clean", report, "--data", manifest, "--repair", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    moved = {row["id"] for row in report_in(report)["pairing"]["found"]}
    assert told["repaired"] == len(moved) > 5
    assert "A012" not in {group["code"] for group in told["dropped"]}
    said = {row["id"]: row["text"] for row in map(json.loads, PROCEED.open(encoding="utf-8"))}
    lines = Path(told["written"][0]["path"]).read_text(encoding="utf-8").splitlines()
    now = {row["id"]: row["text"] for row in map(json.loads, lines)}
    assert {now[row] for row in moved & said.keys()} == {said[row] for row in moved & said.keys()}
    log = Path(told["written"][0]["fix_log"]).read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["id"] for line in log} == moved


@pytest.mark.usefixtures("measured")
def test_what_nobody_heard_is_kept_and_said(corpus: Path, tmp_path: Path) -> None:
    manifest = corpus / "proceed.jsonl"
    more = tmp_path / "more.txt"
    more.write_text("a text that nobody says\n")
    audit = asr_here(
        *("audit", manifest, "--fraction", "0.2", "--controls", 0, "--texts", more, "--no-wandb"),
        cwd=tmp_path,
    )
    assert audit.returncode == 0, audit.stderr
    found = report_in(tmp_path / "reports" / "phase0")
    (searched,) = found["pairing"]["files"]
    assert (searched["file"], searched["texts"]) == ("../more.txt", 1)
    unsampled = found["dataset"]["utterances"] - found["total_samples"]
    assert unsampled > 0
    (tmp_path / "asr.toml").write_text(f'[corpus]\nmanifests = ["{manifest}"]\n')
    done = asr_here("clean", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"asr.toml still names {manifest}" in done.stdout
    assert f"{unsampled} rows were not audited" in done.stdout
    kept = (corpus / "proceed.clean.jsonl").read_text().splitlines()
    assert len(kept) == found["dataset"]["utterances"] - found["low_quality_count"]


def test_what_is_refused(audited: Path, corpus: Path, tmp_path: Path) -> None:
    report = audited / "reports" / "stop"
    manifest = corpus / "stop.jsonl"
    for arguments, code, says in (
        (["--data", corpus / "proceed.jsonl"], 30, "made for other data"),
        (["--data", corpus / "none.jsonl"], 2, "no such manifest"),
        (["--data", manifest, "--out", manifest], 2, "is the corpus itself"),
        (["--data", manifest, "--out", tmp_path / "x.jsonl"], 2, "would not find their audio"),
        (["--data", manifest, "--split", "train"], 2, "no column 'split'"),
    ):
        done = asr_here("clean", report, *arguments, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert says in one_line(done)
    done = asr_here("clean", "reports/none", "--data", manifest, cwd=tmp_path)
    assert done.returncode == 30
    done = asr_here("clean", report, cwd=tmp_path)
    assert done.returncode == 2
    assert "--data MANIFEST" in done.stderr

    untold = shutil.copytree(report, tmp_path / "untold")
    changed = Report.model_validate(report_in(untold) | {"decision": "NO_VERDICT"})
    changed = changed.model_copy(update={"digest": changed.compute_digest()})
    changed = changed.model_copy(update={"seal": changed.compute_seal()})
    (untold / "alignment_report.json").write_bytes(changed.to_bytes())
    done = asr_here("clean", untold, "--data", manifest, cwd=tmp_path)
    assert done.returncode == 30
    assert "no verdict, so nothing to drop" in one_line(done)
    (untold / "alignment_report.json").write_bytes((report / "alignment_report.json").read_bytes())
    (untold / "utterances.parquet").write_bytes(b"altered")
    done = asr_here("clean", untold, "--data", manifest, cwd=tmp_path)
    assert done.returncode == 30
    assert "utterances.parquet" in one_line(done)
    assert not list(corpus.glob("*.clean*"))
    (untold / "utterances.parquet").unlink()
    done = asr_here("clean", untold, "--data", manifest, cwd=tmp_path)
    assert done.returncode == 0, "the report alone says what is excluded"
