"""`asr clean`: what is dropped is shown, chosen and logged, and one of several copies stays."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_gate.audit.gate.read import read_report
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.finding import Finding
from asr_gate.cli.project import load_project
from asr_gate.cli.write_settings import write_manifests
from asr_gate.corpus.read import read_corpus
from tests.audit.report.reports import finding, report_about

Asr = Callable[..., tuple[int, str, str]]

ROWS: list[dict[str, Any]] = [
    {"id": "good", "text": "good morning", "split": "train"},
    {"id": "bad", "text": "not said", "split": "train", "domain": "calls"},
    {"id": "tag", "text": "<b>three</b>  cards", "split": "train"},
    {"id": "noise", "text": "he said [inaudible]", "split": "train", "domain": "calls"},
    {"id": "copy-a", "audio_filepath": "copy.wav", "text": "the same", "split": "train"},
    {"id": "copy-b", "audio_filepath": "copy.wav", "text": "the same", "split": "train"},
    {"id": "copy-t", "audio_filepath": "copy.wav", "text": "the same", "split": "test"},
    {"id": "outside", "audio_filepath": "../x.wav", "text": "skipped", "split": "train"},
]


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rows above in three domains and two splits; only the first two count as sampled."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for number, row in enumerate(ROWS):
        row = {"audio_filepath": f"{row['id']}.wav", **row}
        if row["id"] != "outside":
            level = 0.7 if row["id"].startswith("copy") else 0.1 * number
            soundfile.write(tmp_path / row["audio_filepath"], np.full(800, level), 16000)
        lines.append(json.dumps(row) + "\n")
    (tmp_path / "train.jsonl").write_text("".join(lines))
    return Path("train.jsonl")


def audited(manifest: Path, *findings: Finding, **changes: Any) -> Path:
    return report_about(manifest, Path("reports/phase0"), *findings, **changes)


BAD = finding("bad", "A001", domain="calls", split="train")


def kept(out: Path = Path("train.clean.jsonl")) -> list[str]:
    return [u.id for u in read_corpus([out]).utterances]


def without(*gone: str) -> list[str]:
    return [row["id"] for row in ROWS if row["id"] not in (*gone, "outside")]


def test_by_default_it_drops_what_training_excludes(manifest: Path, asr: Asr) -> None:
    audited(manifest, BAD)
    code, out, err = asr("clean", "--data", manifest)
    assert code == 0, err
    assert kept() == without("bad")
    table = [line.split() for line in out.splitlines()]
    assert ["A001", "low-coverage", "calls", "train", "1"] in table
    assert ["skipped", "could", "not", "be", "audited", "-", "-", "1"] in table
    assert out.splitlines()[1] == "2 of 8 rows were dropped"
    following = shlex.split(out.splitlines()[-1])
    assert following[:3] == ["asr", "audit", "train.clean.jsonl"]
    assert following[3:] == ["--name", "cleaned", "--aligner", "m", "--language", "en", "--all"]


def test_a_dry_run_shows_the_same_and_writes_nothing(manifest: Path, asr: Asr) -> None:
    audited(manifest, BAD)
    before = sorted(Path.cwd().rglob("*"))
    code, out, _ = asr("clean", "--data", manifest, "--dry-run", "--fix", "--write-settings")
    assert (code, out.splitlines()[1]) == (0, "2 of 8 rows would be dropped")
    assert "corrected texts: 1" in out
    assert sorted(Path.cwd().rglob("*")) == before
    told = json.loads(asr("clean", "--data", manifest, "--dry-run", "--json")[1])
    assert (told["written"], told["next"]) == ([], None)
    assert {"code": "A001", "domain": "calls", "split": "train", "rows": 1} in told["dropped"]


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["--drop", "T008"], ["bad", "tag", "noise"]),
        (["--drop", "text-markup", "--keep", "A001"], ["tag", "noise"]),
        (["--drop", "D001"], ["bad", "copy-a", "copy-b"]),
        (["--drop", "D004"], ["bad", "copy-a", "copy-b"]),
        (["--drop", "D001,D004,D005,D006"], ["bad", "copy-a", "copy-b"]),
        (["--drop", "T008", "--fix"], ["bad", "noise"]),
        (["--keep", "A001"], []),
        (["--drop", "A005"], ["bad", "good"]),
    ],
)
def test_rows_are_chosen_by_code_sampled_or_not(
    options: list[str], gone: list[str], manifest: Path, asr: Asr
) -> None:
    audited(manifest, BAD, finding("good", "A005", severity="warning"), total_samples=2)
    code, _, err = asr("clean", "--data", manifest, *options)
    assert code == 0, err
    assert kept() == without(*gone)
    dropped = Path("train.clean.jsonl.dropped.jsonl").read_text().splitlines()
    logged = {row["id"]: row for row in map(json.loads, dropped)}
    assert logged.keys() == {*gone, "outside"}
    assert all(row["findings"] or row["id"] == "outside" for row in logged.values())


def test_warnings_that_stay_are_told(manifest: Path, asr: Asr) -> None:
    leaks = [finding(i, "D004", severity="warning") for i in ("copy-a", "copy-b")]
    audited(manifest, BAD, *leaks, finding("bad", "T008", severity="warning"))
    assert "warnings that stay: D004 2 (" in asr("clean", "--data", manifest, "--dry-run")[1]
    assert "warnings that stay" not in asr("clean", "--data", manifest, "--drop", "D004")[1]


def test_a_rule_that_the_policy_switched_off_can_be_chosen(manifest: Path, asr: Asr) -> None:
    policy = load_policy().model_dump(mode="json")
    policy["rules"]["T008"] = "off"
    audited(manifest, policy=policy)
    assert asr("clean", "--data", manifest, "--drop", "T008")[0] == 0
    assert kept() == without("tag", "noise")


def test_texts_are_corrected_and_their_findings_drop_nothing(manifest: Path, asr: Asr) -> None:
    audited(
        manifest,
        finding("tag", "T008"),
        finding("tag", "A001"),
        finding("noise", "T008", domain="calls"),
    )
    code, out, _ = asr("clean", "--data", manifest, "--fix")
    assert code == 0
    assert kept() == without("noise"), "what stands for words is not corrected"
    texts = {u.id: u.text for u in read_corpus(["train.clean.jsonl"]).utterances}
    assert texts["tag"] == "three cards"
    (fixed,) = map(json.loads, Path("train.clean.jsonl.fixed.jsonl").read_text().splitlines())
    assert (fixed["before"], fixed["after"]) == (ROWS[2]["text"], "three cards")
    assert "corrected texts: 1" in out
    untouched = manifest.read_text().splitlines()
    assert {*Path("train.clean.jsonl").read_text().splitlines()} - {*untouched} != set()


SETTINGS = """\
# ours
[corpus] # the data
audio_root = "."
manifests = [ # two
  "a.jsonl",  # ]
  "b.jsonl",
]
"""


@pytest.mark.parametrize(
    ("before", "lines"),
    [
        (None, ["[corpus]", 'manifests = ["train.clean.jsonl"]']),
        (
            '[corpus]\nmanifests = ["train.jsonl"]',
            ["[corpus]", 'manifests = ["train.clean.jsonl"]'],
        ),
        (
            SETTINGS,
            [*SETTINGS.splitlines()[:3], 'manifests = ["train.clean.jsonl"]'],
        ),
    ],
)
def test_settings_name_the_cleaned_corpus_and_keep_the_rest(
    before: str | None, lines: list[str], manifest: Path, asr: Asr
) -> None:
    audited(manifest, BAD)
    if before is not None:
        Path("asr.toml").write_text(before)
    code, out, err = asr("clean", "--data", manifest, "--write-settings")
    assert code == 0, err
    assert Path("asr.toml").read_text().splitlines() == lines
    assert "asr.toml names the cleaned corpus" in out
    assert tomllib.loads(Path("asr.toml").read_text())["corpus"]["manifests"] == [
        "train.clean.jsonl"
    ]


def test_rules_for_a_manifest_are_written_for_the_cleaned_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = '[corpus]\nmanifests = ["train.jsonl"]\n'
    for key, value in (("manifest", "train.jsonl"), ("audio", "a/*"), ("manifest", "train*")):
        ours += f'[[corpus.rules]]\n{key} = "{value}"\nsplit = "train"\n'
    Path("asr.toml").write_text(ours)
    write_manifests(Path("asr.toml"), {"train.jsonl": ["train.clean.jsonl"]})
    corpus = load_project().corpus
    assert corpus.manifests == ["train.clean.jsonl"]
    assert [rule.manifest or rule.audio for rule in corpus.rules] == [
        "train.jsonl", "train.clean.jsonl", "a/*", "train*",
    ]  # fmt: skip
    assert {rule.split for rule in corpus.rules} == {"train"}


def test_settings_that_cannot_be_changed_stay(manifest: Path, asr: Asr) -> None:
    audited(manifest, BAD)
    Path("asr.toml").write_text("corpus = 3\n")
    code, _, err = asr("clean", "--data", manifest, "--write-settings")
    assert (code, "asr.toml" in err) == (2, True)
    assert Path("asr.toml").read_text() == "corpus = 3\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--drop", "T08"], "no such rule"),
        (["--drop", "A001", "--keep", "low-coverage"], "choose one"),
        (["--drop", "D009"], "speaks of the whole corpus"),
    ],
)
def test_choices_that_make_no_sense(
    options: list[str], says: str, manifest: Path, asr: Asr
) -> None:
    audited(manifest, BAD)
    code, _, err = asr("clean", "--data", manifest, *options)
    assert (code, says in err) == (2, True), err
    assert not list(Path.cwd().glob("*.clean*"))


def test_all_rows_are_audited_as_the_sample_was_once(
    manifest: Path, asr: Asr, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = read_report(audited(manifest, BAD, total_samples=2))
    asked: list[Any] = []

    def audit(corpus: Any, settings: Any, progress: Any, page: Any) -> Any:
        asked.append(settings)
        folder = settings.out / settings.name
        found = (BAD, finding("copy-t", "A008", split="test"))
        return SimpleNamespace(report=read_report(report_about(manifest, folder, *found)))

    monkeypatch.setattr("asr_gate.audit.pipeline.audit", audit)
    monkeypatch.setattr("asr_gate.audit.review.page_file.write_page", lambda *given: None)
    given = ("clean", "reports/phase0", "--data", manifest, "--all-rows")
    code, out, err = asr(*given)
    assert code == 0, err
    assert kept() == without("bad", "copy-t")
    assert out.splitlines()[0] == "by the report reports/phase0-all"
    assert "not audited" not in out
    (settings,) = asked
    assert (settings.name, settings.fraction, settings.resume) == ("phase0-all", 1.0, True)
    assert (settings.aligner, settings.language) == ("m", "en")
    assert settings.policy.model_dump(mode="json") == sample.policy
    assert asr(*given)[0] == 0
    assert asr("clean", "reports/phase0-all", "--data", manifest, "--all-rows")[0] == 0
    assert len(asked) == 1, "what is audited is not audited again"
