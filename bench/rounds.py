"""The commands of `docs/rounds.md` and what they print, remade: two trainings, some minutes.

The model that is trained is small and learns some utterances by heart; it recognises nothing else.
So a gate that tests it on these passes it, promotion refuses it all the same, and a gate that tests
it on other rows refuses it, too.

Run: python -m bench.rounds
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rounds.md"
EXAMPLE = ROOT / "audit" / "example" / "proceed.jsonl"
EPOCHS = [f"phases.0.epochs={[*range(1, 11)]}", f"phases.1.epochs={[*range(11, 31)]}"]
SUITE = """\
[data]
manifests = ["corpus/{name}.jsonl"]

[limits]
wer = 0.5

[[regression]]
name = "weather"
manifests = ["regression/weather.jsonl"]
wer = 0.2
"""
LOG = [
    {"audio": "calls/7.wav", "hypothesis": "call mister cohan", "reference": "call mister Cohen"},
    {"audio": "calls/9.wav", "hypothesis": "what was that", "model": "round1"},
]
DECIDED = [
    {"id": "calls/9.wav", "action": "text", "new_text": "what is that", "who": "Dana"},
    {"id": "calls/7.wav", "action": "keep", "who": "Dana"},
]

STEPS = {
    "cases-add": ["cases", "add", "evals/heard", "calls.jsonl"],
    "cases-stats": ["cases", "stats"],
    "cases-list": ["cases", "list", "--source", "production"],
    "cases-import": ["cases", "import", "decided.jsonl"],
    "cases-export": ["cases", "export", "--status", "corrected", "--status", "confirmed",
                     "--manifest", "regression/calls.jsonl"],
    "dataset": ["dataset", "add", "corpus/other.jsonl", "--name", "calls"],
    "gate-learnt": ["model", "gate", "runs/heart/final", "--against", "runs/short/final",
                    "--suite", "learnt.toml"],
    "promote": ["model", "promote", "runs/heart/final", "--accept-caution"],
    "gate-other": ["model", "gate", "runs/heart/final", "--against", "runs/short/final",
                   "--suite", "other.toml"],
}  # fmt: skip
"""By the name of their block on the page: the words after `asr`."""


def prepare(folder: Path, run: Callable[[list[str]], str]) -> None:
    """Audit twelve rows, train on them twice, and write the other files."""
    rows = [json.loads(line) for line in EXAMPLE.read_text().splitlines()]
    clean = [row for row in rows if row["id"].startswith("clean-")]
    for row in clean:
        audio = folder / "corpus" / row["audio_filepath"]
        audio.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLE.parent / row["audio_filepath"], audio)
    _write(folder / "corpus" / "audited.jsonl", clean[:12])
    run(["audit", "corpus/audited.jsonl", "--all", "--controls", "0"])
    common = ["--data", "corpus/audited.jsonl", "--accept-caution"]
    quick = ["evaluation.max_new_tokens=1", "checkpoints.keep=1"]
    run(["train", "round2-tiny", *common, "--out", "runs/heart", *EPOCHS, *quick])
    run(["train", "round2-tiny", *common, "--out", "runs/short", *quick])
    plan = json.loads((folder / "runs" / "heart" / "run.json").read_text())["plan"]
    learnt = [row for row in clean[:12] if row["id"] not in plan["evaluation"]]
    _write(folder / "corpus" / "learnt.jsonl", learnt)
    _write(folder / "corpus" / "other.jsonl", clean[12:24])
    for row in learnt[:3]:
        audio = folder / "regression" / row["audio_filepath"]
        audio.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLE.parent / row["audio_filepath"], audio)
    _write(folder / "regression" / "weather.jsonl", learnt[:3])
    for name in ("learnt", "other"):
        (folder / f"{name}.toml").write_text(SUITE.format(name=name))
    (folder / "calls").mkdir()
    for number in (7, 9):
        shutil.copy(EXAMPLE.parent / clean[0]["audio_filepath"], folder / f"calls/{number}.wav")
    _write(folder / "calls.jsonl", LOG)
    _write(folder / "decided.jsonl", DECIDED)
    run(["eval", "runs/heart/final", "corpus/other.jsonl", "--out", "evals/heard"])


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    """Prepare, run the steps, and put what they print on the page."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        environment = os.environ | {
            "COLUMNS": "100",
            "WANDB_DISABLED": "true",
            "XDG_STATE_HOME": str(folder / "state"),
        }

        def run(words: list[str]) -> str:
            asr = str(Path(sys.executable).parent / "asr")
            done = subprocess.run(
                [asr, *words], cwd=folder, env=environment, capture_output=True, text=True
            )
            if done.returncode not in (0, 20, 30):
                sys.exit(f"asr {' '.join(words)}: {done.stderr}")
            told = [line for line in done.stderr.splitlines() if line.startswith("asr: ")]
            code = [f"(exit code {done.returncode})"] if done.returncode else []
            return "\n".join([*done.stdout.splitlines(), *told, *code])

        prepare(folder, run)
        for name, words in STEPS.items():
            lines = [f"$ asr {' '.join(words)}", *run(words).splitlines()]
            shown = (line.replace(f"{folder}/", "") for line in lines)
            replace_figures(PAGE, name, "".join(f"    {line}".rstrip() + "\n" for line in shown))


if __name__ == "__main__":
    main()
