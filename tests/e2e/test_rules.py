"""`asr rules` and `asr explain`, as the core install has them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from asr_gate.audit.records.rules import catalogue
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import load
from tests.e2e.asr import asr_here, asr_without, one_line, report_in
from tests.speech import PROCEED

RATE = 16000

HEAVY = {
    "datasets",
    "datasketch",
    "numba",
    "numpy",
    "pandas",
    "py3langid",
    "pyarrow",
    "regex",
    "scipy",
    "soundfile",
    "torch",
}


def test_the_rules_are_listed_without_what_measures(tmp_path: Path) -> None:
    done = asr_without(HEAVY, "rules", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for rule in catalogue().values():
        (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith(rule.code)]
        assert re.split(r"\s{2,}", line.strip()) == [
            rule.code,
            rule.name,
            rule.severity,
            rule.summary,
        ]


def test_the_rules_as_json(tmp_path: Path) -> None:
    done = asr_without(HEAVY, "rules", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert [row["code"] for row in listed] == list(catalogue())
    assert set(listed[0]) == {"code", "name", "severity", "summary", "fix"}


@pytest.mark.parametrize("code", ["A005", "a005", "unspoken-word"])
def test_a_rule_is_explained(code: str, tmp_path: Path) -> None:
    done = asr_without(HEAVY, "explain", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# A005 unspoken-word\n\nSeverity: warning. ")


def test_every_page_is_there_and_can_be_had_as_json(tmp_path: Path) -> None:
    for rule in (catalogue()["A001"], catalogue()["T010"]):
        done = asr_here("explain", rule.code, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["code"], told["fix"]) == (rule.code, rule.fix)
        assert told["page"].startswith(f"# {rule.code} {rule.name}")


@pytest.mark.parametrize(
    ("code", "near"),
    [("A05", "A005"), ("S099", "S009"), ("unspoken", "A005"), ("leaked", "D005")],
)
def test_an_unknown_code_has_near_ones(code: str, near: str, tmp_path: Path) -> None:
    done = asr_here("explain", code, cwd=tmp_path)
    assert done.returncode == 2
    said = one_line(done)
    assert said.startswith(f"asr: {code}: no such rule")
    assert near in said


def test_nonsense_is_no_fault_of_ours(tmp_path: Path) -> None:
    for code in ("", "\x1b[31m", "../../secret", "א" * 5000):
        done = asr_here("explain", code, cwd=tmp_path)
        assert done.returncode == 2
        assert "\x1b" not in one_line(done)
    assert asr_here("explain", cwd=tmp_path).returncode == 2
    assert asr_here("rules", "A005", cwd=tmp_path).returncode == 2


def recording(folder: Path, name: str, samples: NDArray[np.float32], rate: int = RATE) -> str:
    soundfile.write(folder / f"{name}.flac", samples, rate)
    return f"{name}.flac"


def test_what_is_planted_in_a_corpus_is_found(tmp_path: Path) -> None:
    """Real recordings, each with one thing wrong, and the finding that names it."""
    sources = [u for u in read_corpus([PROCEED]).utterances if u.domain == "kan_clean"][10:26]
    speech = [load(u, RATE).samples for u in sources]
    noise = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    quiet = np.zeros(4 * RATE, np.float32)
    one, other = (s[: 3 * RATE] for s in speech[:2])
    audio = {
        "S005": (soxr.resample(speech[0], RATE, 8000), 8000),
        "S006": (soxr.resample(soxr.resample(speech[1], RATE, 8000), 8000, RATE), RATE),
        "S007": (0.8 * speech[2] + 0.05, RATE),
        "S008": (np.stack([one[: len(other)], other[: len(one)]], axis=1), RATE),
        "S009": (speech[4] + 0.3 * speech[4].std() * 3 * noise[: len(speech[4])], RATE),
        "S010": (np.concatenate([quiet, speech[5]]), RATE),
    }
    texts = {
        "T006": "совсем другие буквы",
        "T007": sources[7].text.replace("e", "е", 1),
        "T008": f"[noise] {sources[8].text}",
        "T009": f"{sources[9].text}\u200b",
        "T010": "gestern Abend sind wir lange am Fluss spazieren gegangen",
    }
    rows = []
    for number, (source, samples) in enumerate(zip(sources, speech, strict=True)):
        code = [*audio, "good", *texts][number] if number < 12 else f"good-{number}"
        content, rate = audio.get(code, (samples, RATE))
        rows.append(
            {
                "id": code,
                "audio_filepath": recording(tmp_path, code, content, rate),
                "text": texts.get(code, source.text),
                "lang": "en",
                "split": "train",
            }
        )
    long = "nobody in the village had seen so many birds on the lake before that winter"
    rows[12] |= {"id": "D004"}
    rows[13] |= {"id": "D005", "text": long}
    test = {"lang": "en", "split": "test"}
    rows.append(test | {"id": "t-1", "audio_filepath": "good-12.flac", "text": "birds"})
    rows.append(test | {"id": "t-2", "audio_filepath": "gone.flac", "text": f"{long.upper()}!"})
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    policy = tmp_path / "policy.toml"
    policy.write_text('[rules]\nS007 = "error"\n')
    done = asr_here(
        *("audit", manifest, "--split", "train", "--all", "--controls", 0, "--no-wandb"),
        *("--policy", policy),
        cwd=tmp_path,
    )
    assert done.returncode in (0, 20, 30), done.stderr
    report = report_in(tmp_path / "reports" / "phase0")
    planted = {*audio, *texts, "D004", "D005"}
    # What an English model says of Russian and German texts is not the matter here.
    heard = {"D003", "T002", "T003", "T004"}
    found = {(f["id"], f["code"]) for f in report["findings"] if f["code"] not in heard}
    assert {(code, code) for code in planted} <= found
    assert {(row, code) for row, code in found if row != code and code[0] != "A"} == set()
    assert {f["severity"] for f in report["findings"] if f["code"] == "S007"} == {"error"}
    assert report["policy"]["rules"]["S007"] == "error"
