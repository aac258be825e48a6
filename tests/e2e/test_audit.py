"""`asr audit` on the bundled corpus."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest

from asr_gate.audit.engine import measure
from asr_gate.audit.engine.parts import Parts
from asr_gate.audit.gate import read_report
from asr_gate.audit.records.controls import KINDS
from asr_gate.corpus.files import held
from tests.e2e.asr import ASR, asr_here, one_line, report_in, start
from tests.speech import BROKEN, EXAMPLE, PROCEED, ROOT

UNSEEN = {"duplicate_row", "audio_clipped"}
"""They leave the transcript right, and are warnings."""


def low_quality(folder: Path) -> set[str]:
    table = pyarrow.parquet.read_table(folder / "utterances.parquet")
    return {row["id"] for row in table.to_pylist() if row["low_quality"]}


@pytest.mark.parametrize(("name", "decision"), [("proceed", "PROCEED"), ("stop", "STOP")])
def test_the_verdict_is_the_known_one(name: str, decision: str, audited: Path) -> None:
    report = report_in(audited / "reports" / name)
    assert report["decision"] == decision
    assert report["total_samples"] == 105
    broken = BROKEN[f"{name}.jsonl"]["broken"]
    expected = {row for row, kind in broken.items() if kind not in UNSEEN}
    found = low_quality(audited / "reports" / name)
    missed, false = expected - found, found - set(broken)
    assert not missed
    assert len(false) <= 2, false


def test_every_kind_of_defect_has_its_rule(audited: Path) -> None:
    report = report_in(audited / "reports" / "stop")
    kinds = BROKEN["stop.jsonl"]["broken"]
    codes: dict[str, set[str]] = {}
    for finding in report["findings"]:
        if finding["id"] in kinds:
            codes.setdefault(kinds[finding["id"]], set()).add(finding["code"])
    for kind, code in {
        "transcript_swapped": "A008",
        "transcript_cut": "A009",
        "text_too_long": "A002",
        "duplicate_row": "D001",
        "audio_truncated": "S001",
        "audio_empty": "S002",
        "audio_silent": "S003",
        "audio_clipped": "S004",
        "text_empty": "T001",
        "text_other_script": "T002",
    }.items():
        assert code in codes[kind], (kind, codes)


def test_the_files_of_an_audit(audited: Path) -> None:
    folder = audited / "reports" / "proceed"
    names = {path.name for path in folder.iterdir()}
    tables = {"utterances.parquet", "words.parquet", "gaps.parquet", "heard.parquet"}
    shown = {"report.md", "report.html", "findings.sarif", "junit.xml", "clean.jsonl"}
    assert names == {"alignment_report.json", "rows.jsonl", "tensorboard", *shown, *tables}
    rows = [json.loads(line) for line in (folder / "clean.jsonl").read_text().splitlines()]
    report = read_report(folder)
    utterances = pyarrow.parquet.read_table(folder / "utterances.parquet").to_pylist()
    words = pyarrow.parquet.read_table(folder / "words.parquet").to_pylist()
    assert len(utterances) == report.total_samples
    assert sum(row["low_quality"] for row in utterances) == report.low_quality_count
    condemned = {row["id"] for row in utterances if row["low_quality"]}
    assert [row["id"] for row in rows] == [
        row["id"]
        for row in map(json.loads, PROCEED.read_text().splitlines())
        if row["id"] not in condemned
    ]
    assert all(0 <= row["quality"] <= 1 for row in utterances)
    by_id = {row["id"]: row for row in utterances}
    for word in words:
        assert 0 <= word["start"] <= word["end"] <= by_id[word["id"]]["duration"]
        assert 0 <= word["spoken"] <= 1
        assert 0 <= word["replaced"] <= 1
    gaps = pyarrow.parquet.read_table(folder / "gaps.parquet").to_pylist()
    assert all(0 <= gap["start"] <= gap["end"] and 0 <= gap["untranscribed"] <= 1 for gap in gaps)
    aligned = {word["id"] for word in words}
    assert len(gaps) == len(words) + len(aligned), "one before each word and one after the last"
    first = by_id["clean-002"]
    said = [word["word"] for word in words if word["id"] == first["id"]]
    assert " ".join(said) == first["text"]
    assert (folder / "report.md").read_text().startswith("# PROCEED")


def test_the_audit_proves_what_it_sees_and_leaves_no_trace_of_it(audited: Path) -> None:
    folder = audited / "reports" / "proceed"
    report = report_in(folder)
    originals = {r["id"]: r["text"] for r in map(json.loads, PROCEED.read_text().splitlines())}
    assert set(report["controls"]) == set(KINDS)
    for kind, control in report["controls"].items():
        # Not every text has two words that can change places, or a phrase to replace.
        assert control["n"] >= 90, kind
        assert control["low"] <= control["power"] <= control["high"]
        in_domains = [d[kind]["detected"] for d in report["domain_controls"].values()]
        assert sum(in_domains) == control["detected"]
    for kind in ("swapped", "inserted", "doubled", "cut"):
        assert report["controls"][kind]["power"] > 0.9, kind
    assert report["aligner"]["delay_measured"]
    # Nothing planted is in any table, nor in what is counted.
    rows = pyarrow.parquet.read_table(folder / "utterances.parquet").to_pylist()
    assert {row["id"]: row["text"] for row in rows} == originals
    assert report["total_samples"] == len(originals)
    said: dict[str, list[str]] = {}
    for word in pyarrow.parquet.read_table(folder / "words.parquet").to_pylist():
        said.setdefault(word["id"], []).append(word["word"])
    assert all(" ".join(words) == originals[identity] for identity, words in said.items())


def test_quality_ranks_the_broken_first(audited: Path) -> None:
    rows = pyarrow.parquet.read_table(audited / "reports/stop/utterances.parquet").to_pylist()
    kinds = BROKEN["stop.jsonl"]["broken"]
    worst = sorted(rows, key=lambda row: row["quality"])
    wrong = [row["id"] for row in rows if kinds.get(row["id"], "").startswith("transcript")]
    places = [place for place, row in enumerate(worst) if row["id"] in wrong]
    broken = sum(row["id"] in kinds for row in rows)
    assert max(places) < broken, "before all that are sound"


def test_without_controls_it_says_that_it_has_no_proof(small: Path, tmp_path: Path) -> None:
    done = asr_here("audit", small, "--no-wandb", "--controls", "0", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["controls"] == {}
    assert any("no controls were planted" in r for r in report["reasons"])
    assert report["decision"] == "CAUTION"
    assert report["policy"]["controls"]["per_kind"] == 0


@pytest.mark.usefixtures("measured")
def test_the_terminal_shows_the_verdict_and_the_example_is_what_it_makes(tmp_path: Path) -> None:
    done = asr_here("audit", PROCEED, "--no-wandb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in ("0.9-1.0", "█", "median", "kan_clean", "whatsapp_noisy", "PROCEED", "report.html"):
        assert part in done.stdout
    assert "aligned" in done.stderr
    # The committed example is this very audit; processors differ in the last digits.
    made, committed = (
        report_in(folder) for folder in (tmp_path / "reports/phase0", ROOT / "reports" / "example")
    )
    read_report(ROOT / "reports" / "example")
    assert (made["decision"], made["rules"]) == (committed["decision"], committed["rules"])
    assert made["dataset"]["fingerprint"] == committed["dataset"]["fingerprint"]
    for key in ("coverage_distribution", "estimate"):
        for name, value in committed[key].items():
            same = pytest.approx(value, abs=1e-3) if isinstance(value, float) else value
            assert made[key][name] == same


def test_the_number_of_threads_changes_nothing(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = set()
    for threads in (1, 5):
        monkeypatch.setattr(measure, "usable_cores", lambda threads=threads: threads)
        done = asr_here("audit", small, "--no-wandb", "--batch-seconds", 8, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        digests.add(json.loads(done.stdout)["digest"])
    assert len(digests) == 1


def test_an_interrupted_audit_says_how_to_go_on_and_does(
    small: Path, small_stop: Path, tmp_path: Path
) -> None:
    arguments = ("--no-wandb", "--batch-seconds", "1")
    whole = asr_here("audit", small, *arguments, "--name", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    parts = Parts(tmp_path / "reports" / "phase0").folder
    for number, more in ((signal.SIGINT, ()), (signal.SIGTERM, ("--resume",))):
        before = len(list(parts.glob("part-*.json")))
        running = start("audit", small, *arguments, *more, cwd=tmp_path)
        while len(list(parts.glob("part-*.json"))) < before + 2:
            assert running.poll() is None, "it ended before it could be interrupted"
            time.sleep(0.02)
        running.send_signal(number)
        running.send_signal(number)  # as `timeout` and hurried users do
        _, errors = running.communicate(timeout=60)
        assert running.returncode == 130
        assert "measured and kept; go on with the same command and --resume" in errors
        assert "Traceback" not in errors
    refused = asr_here("audit", small, *arguments, cwd=tmp_path)
    assert refused.returncode == 2
    assert "--resume" in one_line(refused)
    other = asr_here("audit", small_stop, *arguments, "--resume", cwd=tmp_path)
    assert other.returncode == 2
    assert "another dataset" in one_line(other)
    # Parts that are damaged are measured again.
    one, another, *_ = parts.glob("part-*.json")
    one.write_text("[{}]")
    another.write_text('[{"id": ')
    plan = (parts / "plan.json").read_text()
    (parts / "plan.json").write_text("{")
    lost = asr_here("audit", small, *arguments, "--resume", cwd=tmp_path)
    assert lost.returncode == 2
    assert "plan.json: missing or damaged" in one_line(lost)
    (parts / "plan.json").write_text(plan)
    done = asr_here("audit", small, *arguments, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "kept from before" in done.stderr
    folders = (tmp_path / "reports" / "phase0", tmp_path / "reports" / "whole")
    assert len({report_in(folder)["digest"] for folder in folders}) == 1
    assert not parts.exists()


ENDLESS = """
import time
from pathlib import Path
from asr_gate.audit.engine import measure
from asr_gate.cli.main import main

def align(*arguments):
    Path("aligning").touch()
    time.sleep(3600)

measure.align = align
main()
"""


def test_interrupted_it_does_not_wait_for_alignments_under_way(small: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDLESS, "audit", str(small), "--no-wandb"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "aligning").exists():
        assert running.poll() is None, "it ended before it could be interrupted"
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "--resume" in errors


def test_one_name_has_one_audit_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "phase0"
    folder.mkdir(parents=True)
    with held(folder):
        refused = asr_here("audit", PROCEED, "--no-wandb", cwd=tmp_path)
    assert refused.returncode == 2
    assert "another audit is writing here" in one_line(refused)


def test_a_second_audit_replaces_the_first(small: Path, small_stop: Path, tmp_path: Path) -> None:
    for manifest, code in ((small_stop, 20), (small, 0)):
        done = asr_here("audit", manifest, "--no-wandb", "--json", cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert json.loads(done.stdout) == report_in(tmp_path / "reports" / "phase0")
    read_report(tmp_path / "reports" / "phase0")


def test_bad_rows_are_skipped_or_found_and_nothing_is_lost(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in PROCEED.read_text().splitlines()][:8]
    (tmp_path / "audio").mkdir()
    for row in rows:
        source = EXAMPLE / row["audio_filepath"]
        shutil.copy(source, tmp_path / row["audio_filepath"])
    whole = (EXAMPLE / rows[0]["audio_filepath"]).read_bytes()
    (tmp_path / "audio" / "cut.flac").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "audio" / "empty.wav").write_bytes(b"")
    rows += [
        {"id": "cut", "audio_filepath": "audio/cut.flac", "text": rows[0]["text"]},
        {"id": "empty", "audio_filepath": "audio/empty.wav", "text": "nothing"},
        {"id": "missing", "audio_filepath": "audio/missing.wav", "text": "nothing"},
        {"id": "hebrew", "audio_filepath": rows[0]["audio_filepath"], "text": "שלום לכולם"},
        {"id": "outside", "audio_filepath": "../../etc/passwd", "text": "x"},
        {"id": "<b>&|`x`", "audio_filepath": rows[1]["audio_filepath"], "text": "<script>|[x](y)"},
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = asr_here("audit", manifest, "--all", "--no-wandb", cwd=tmp_path)
    assert done.returncode == 20, done.stderr
    assert "Traceback" not in done.stderr
    report = report_in(tmp_path / "reports" / "phase0")
    assert report["total_samples"] + len(report["skipped"]) == len(rows)
    found = {(f["id"], f["code"]) for f in report["findings"]}
    assert {("cut", "S001"), ("empty", "S001"), ("missing", "S001"), ("hebrew", "T002")} <= found
    (skipped,) = report["skipped"]
    assert (skipped["id"], skipped["origin"]) == ("outside", "m.jsonl:13")
    page = (tmp_path / "reports" / "phase0" / "report.md").read_text()
    assert "<script>" not in page
    assert "<b>" not in page


def test_the_verdict_stands_whoever_reads_it(small_stop: Path, tmp_path: Path) -> None:
    audit, gate = f"audit '{small_stop}' --no-wandb", "gate"
    for command in (f"{audit} > /dev/full", f"{gate} > /dev/full", f"{gate} | true"):
        done = subprocess.run(
            ["bash", "-c", f"'{ASR[0]}' {command}; exit ${{PIPESTATUS[0]}}"],
            cwd=tmp_path,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            text=True,
            timeout=120,
        )
        assert done.returncode == 20, done.stderr
        assert "Traceback" not in done.stderr


def test_what_steers_a_terminal_is_shown_and_not_obeyed(small: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in small.read_text().splitlines()]
    for row in rows:
        row |= {"domain": "[red]x[/red]\x1b[31m\u202e\ny", "text": row["text"] + " \x1b]0;t\x07"}
    small.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = asr_here("audit", small, "--no-wandb", cwd=tmp_path)
    page = (tmp_path / "reports" / "phase0" / "report.md").read_text()
    for text in (done.stdout, done.stderr, page):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "\\x1b" in done.stdout


def test_another_language_is_refused(small: Path, tmp_path: Path) -> None:
    done = asr_here("audit", small, "--no-wandb", "--language", "fr", cwd=tmp_path)
    assert done.returncode == 2
    assert "embedded is a model of 'en'" in one_line(done)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.jsonl"], "missing.jsonl: no such manifest"),
        (["bad.jsonl"], "bad.jsonl:1: not JSON"),
        ([PROCEED, "--aligner", "whisper"], "unknown acoustic model"),
        ([PROCEED, "--policy", "missing.toml"], "missing.toml: no such policy file"),
        ([PROCEED, "--device", "cuda"], "--device cuda"),
        (["outside.jsonl"], "leaves the corpus root"),
        ([PROCEED, "--out", "bad.jsonl"], "bad.jsonl"),
    ],
)
def test_mistakes_end_with_one_line(arguments: list[object], says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{oops\n")
    (tmp_path / "outside.jsonl").write_text('{"audio_filepath": "../x.wav", "text": "x"}\n')
    done = asr_here("audit", "--no-wandb", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "--name", "../up"],
        ["audit", "--name", "[red]x"],
        ["audit", "--name", " "],
        ["audit", "--all", "--fraction", "0.5"],
        ["audit", "--fraction", "0"],
        ["audit", "--fraction", "nan"],
        ["audit", "--colour"],
        ["autid"],
    ],
)
def test_bad_usage_exits_2(arguments: list[str], tmp_path: Path) -> None:
    done = asr_here(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "--help" in one_line(done)
    assert not (tmp_path / "reports").exists()


def test_without_a_manifest_the_project_names_it_or_the_example_is_used(
    small_stop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = asr_here("audit", "--aligner", "none", cwd=tmp_path)
    assert done.returncode == 2
    assert "using the bundled example corpus" in done.stderr
    (tmp_path / "asr.toml").write_text(f'[corpus]\nmanifests = ["{small_stop}"]\n')
    done = asr_here("audit", "--no-wandb", cwd=tmp_path)
    assert done.returncode == 20, done.stderr
    said, warned, first, *_ = done.stderr.splitlines()
    assert "corpus of asr.toml" in said
    assert "demonstration model" in warned
    assert done.stdout.splitlines()[-1] == warned
    assert first == "aligner embedded, language en, on cpu: aligns 8 of 8 utterances"
    page = (tmp_path / "reports" / "phase0" / "report.md").read_text()
    assert "demonstrations" in page.splitlines()[2]
    monkeypatch.setenv("CI", "true")
    done = asr_here("audit", "--no-wandb", cwd=tmp_path)
    assert done.returncode == 2, "nobody reads a warning there"
    assert "--aligner" in one_line(done)
    monkeypatch.delenv("CI")
    (tmp_path / "asr.toml").write_text('[corpus]\nmanifests = ["m.jsonl"]\naudio_root = "/"\n')
    done = asr_here("audit", "--no-wandb", cwd=tmp_path)
    assert done.returncode == 2, "a repository cannot say that the whole disk may be read"
    assert "--audio-root /" in one_line(done)
    (tmp_path / "asr.toml").write_text('[corpus]\nmanifest = "x"\n')
    done = asr_here("audit", "--no-wandb", cwd=tmp_path)
    assert done.returncode == 2
    assert "asr.toml:2: corpus.manifest" in one_line(done)


def test_a_full_disk_says_so_and_leaves_no_half_file(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: the same write fails the same way."""
    manifest = tmp_path / "m.jsonl"
    rows = [{"audio_filepath": f"{n}.wav", "text": "word " * 4} for n in range(400)]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "0.wav").touch()  # of audio that is not there at all no audit is made
    command = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); "
    command += "from asr_gate.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "audit", str(manifest), "--all", "--no-wandb"],
        cwd=tmp_path,
        # Python does not notice that the bytecode it keeps was cut short.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "disk full" in one_line(done)
    folder = tmp_path / "reports" / "phase0"
    assert list(folder.iterdir()) == []
    assert [path.name for path in Parts(folder).folder.iterdir()] == ["plan.json"]
