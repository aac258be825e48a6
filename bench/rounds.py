"""The commands of `docs/rounds.md` and what they print, remade: `asr rounds demo`, and then others.

    python -m bench.rounds [--folder FOLDER]

The demo takes some minutes; FOLDER is that of one that is done, in which the commands are run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from asr_gate.rounds.loop.begin import SETTINGS
from asr_gate.rounds.loop.demo import WITH_MESSAGES
from asr_gate.rounds.loop.state import read_rounds
from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rounds.md"
PICTURE = ROOT / "docs" / "rounds.png"
LOG = [
    {"audio": "calls/7.wav", "hypothesis": "call mister cohan", "reference": "call mister Cohen"},
    {"audio": "calls/9.wav", "hypothesis": "what was that", "model": "round1"},
]
DECIDED = [
    {"id": "calls/9.wav", "action": "text", "new_text": "what is that", "who": "Dana"},
    {"id": "calls/7.wav", "action": "keep", "who": "Dana"},
]
GATE = ["model", "gate", "evals/round-{new}", "--against", "runs/round-{old}/final",
        "--suite", "{suite}"]  # fmt: skip

STEPS = {
    "rounds-run": ["rounds", "run"],
    "rounds-status": ["rounds", "status"],
    "cases-add": ["cases", "add", "evals/round-3", "calls.jsonl"],
    "cases-stats": ["cases", "stats"],
    "cases-list": ["cases", "list", "--source", "production"],
    "cases-import": ["cases", "import", "decided.jsonl"],
    "cases-export": ["cases", "export", "--source", "production", "--manifest", "calls-set.jsonl"],
    "dataset": ["dataset", "add", "corpus/second.jsonl", "--name", "demo"],
    "gate-passed": [word.format(new=2, old=1, suite="suite.toml") for word in GATE],
    "gate-refused": [word.format(new=3, old=2, suite=WITH_MESSAGES) for word in GATE],
    "promote-refused": ["model", "promote", "runs/round-3/final"],
    "rollback": ["model", "promote", "--rollback", "--why", "complaints"],
    "promote": ["model", "promote", "runs/round-2/final", "--why", "no complaints"],
    "model-status": ["model", "status"],
}
"""By the name of their block on the page: the words after `asr`, in the folder of the demo."""


class Runner:
    """Runs `asr`."""

    def __init__(self, state: Path) -> None:
        self.environment = os.environ | {
            "COLUMNS": "120",
            "WANDB_DISABLED": "true",
            "XDG_STATE_HOME": str(state),
        }

    def __call__(self, words: list[str], folder: Path, *, progress: bool = False) -> str:
        """What it prints; of standard error why it ended, or with `progress` all of it."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / "asr"), *words],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if progress else subprocess.PIPE,
            text=True,
        )
        if done.returncode not in (0, 20, 30):
            sys.exit(f"asr {' '.join(words)}: {done.stdout} {done.stderr}")
        told = [line for line in (done.stderr or "").splitlines() if line.startswith("asr: ")]
        code = [f"(exit code {done.returncode})"] if done.returncode else []
        return "\n".join([*done.stdout.splitlines(), *told, *code])


def write_calls(folder: Path) -> None:
    """A production log, with its audio, and what people decided about it."""
    (folder / "calls").mkdir(exist_ok=True)
    for number in (7, 9):
        shutil.copy(folder / "corpus/audio/clean-006.wav", folder / f"calls/{number}.wav")
    for name, rows in (("calls", LOG), ("decided", DECIDED)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)


def told_time(folder: Path) -> str:
    """How long the steps of a demo took."""
    with contextlib.chdir(folder):
        found = read_rounds()
    seconds = round(sum(step.seconds for one in found for step in one.steps.values()))
    cores = os.cpu_count()
    return f"Its steps took {seconds // 60} min {seconds % 60} s on {cores} processor cores.\n"


def main() -> None:
    """Run the demo and the steps, and put what they print on the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="folder of a demo that is done")
    given: Path | None = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as place:
        run = Runner(Path(place) / "state")
        folder = (given or Path(place) / "rounds-demo").absolute()
        real = folder.resolve()  # as the log of promotions names it

        def put(name: str, words: list[str], said: str) -> None:
            lines = [f"$ asr {shlex.join(words)}", *said.splitlines()]
            shown = (line.replace(f"{real}/", "").replace(str(real), folder.name) for line in lines)
            replace_figures(PAGE, name, "".join(f"    {line}".rstrip() + "\n" for line in shown))

        settings = "".join(f"    {line}".rstrip() + "\n" for line in SETTINGS.splitlines())
        replace_figures(PAGE, "rounds-toml", settings)
        put("rounds-demo", ["rounds", "demo"], run(["rounds", "demo", folder.name], folder.parent))
        replace_figures(PAGE, "rounds-time", told_time(folder))
        write_calls(folder)
        for name, words in STEPS.items():
            put(name, words, run(words, folder, progress=name == "rounds-run"))
        run(["rounds", "status", "--plot", str(PICTURE)], folder)


if __name__ == "__main__":
    main()
