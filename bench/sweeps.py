"""The sweep of `docs/rounds.md` and what its commands print: real trainings, some minutes.

Run: python -m bench.sweeps
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rounds.md"
EXAMPLE = ROOT / "audit" / "example" / "proceed.jsonl"
SWEEP = """\
program: ctc-embedded
command: [asr, train, "${program}", epochs=2, data.max_seconds=4, --accept-caution, "${args}"]
method: random
metric: {name: eval/wer, goal: minimize}
run_cap: 2
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.1, max: 10.0}
"""
COMMANDS = (["run", "sweep.yaml", "--dry-run"], ["run", "sweep.yaml"], ["status", "sweep.yaml"])


def main() -> None:
    """Audit the bundled corpus, run the sweep, and put what it prints on the page."""
    with tempfile.TemporaryDirectory() as place:
        environment = os.environ | {
            "COLUMNS": "100",
            "WANDB_DISABLED": "true",
            "XDG_STATE_HOME": str(Path(place) / "state"),
        }
        asr = str(Path(sys.executable).parent / "asr")

        def run(words: list[str]) -> str:
            done = subprocess.run(
                [asr, *words], cwd=place, env=environment, capture_output=True, text=True
            )
            if done.returncode not in (0, 20):
                sys.exit(f"asr {' '.join(words)}: {done.stderr}")
            return done.stdout

        run(["audit", str(EXAMPLE), "--controls", "0"])
        Path(place, "asr.toml").write_text(f'[corpus]\nmanifests = ["{EXAMPLE}"]\n')
        Path(place, "sweep.yaml").write_text(SWEEP)
        lines = []
        for words in COMMANDS:
            lines += [f"$ asr sweep {' '.join(words)}", *run(["sweep", *words]).splitlines()]
        shown = "".join(f"    {line}".rstrip() + "\n" for line in lines)
        replace_figures(PAGE, "sweep-run", shown)


if __name__ == "__main__":
    main()
