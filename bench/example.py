"""What `make audit` prints and writes: the README's block and `reports/example`, remade; and what
the audit of the Hebrew example decides, where a Hebrew model comes with the project.

Run: python -m bench.example
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from asr_gate.embedded.files import SHIPPED, shipped
from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def main() -> None:
    """Audit the bundled corpus into `reports/example`, and the Hebrew one, and show both."""
    done = _audit("audit/example/proceed.jsonl", "--name", "example")
    # `make audit` prints the same with its own folder's name.
    replace_figures(
        README, "make-audit", _printed(done.replace("reports/example", "reports/phase0"))
    )
    print(done)
    if shipped("he") == SHIPPED:
        return
    with tempfile.TemporaryDirectory() as out:
        done = _audit("audit/example/he/proceed.jsonl", "--language", "he", "--out", out)
    _, begins, decided = done.partition("Findings:")
    decided, _, _ = decided.partition("\nReport:")
    replace_figures(README, "hebrew-audit", _printed(f"{begins}{decided}".rstrip()))
    print(done)


def _audit(manifest: str, *options: str) -> str:
    """What an audit of an example prints."""
    asr = str(Path(sys.executable).parent / "asr")
    done = subprocess.run(
        [asr, "audit", manifest, *options, "--no-wandb"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(done.stderr or done.stdout)
    return done.stdout


def _printed(text: str) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())


if __name__ == "__main__":
    main()
