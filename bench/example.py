"""What `make audit` prints and writes: the README's block and `reports/example`, remade.

Run: python -m bench.example
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Audit the bundled corpus into `reports/example` and show it in the README."""
    command = [str(Path(sys.executable).parent / "asr"), "audit", "audit/example/proceed.jsonl"]
    done = subprocess.run(
        [*command, "--name", "example", "--no-wandb"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    # `make audit` prints the same with its own folder's name.
    shown = done.stdout.replace("reports/example", "reports/phase0")
    printed = "".join(f"    {line}".rstrip() + "\n" for line in shown.splitlines())
    replace_figures(ROOT / "README.md", "make-audit", printed)
    print(done.stdout)


if __name__ == "__main__":
    main()
