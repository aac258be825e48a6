"""What `asr sweep demo` prints, and its picture, for `docs/rounds.md`: some minutes.

    python -m bench.sweeps [--folder FOLDER]

FOLDER is that of a demo that is done: then only the commands that follow it are run.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from bench.docs import replace_figures
from bench.rounds import PAGE, Runner

PICTURE = PAGE.with_name("sweep.png")
SWEEP = "sweeps/sweep"
AFTER = (["sweep", "run", "sweep.yaml", "--dry-run"], ["sweep", "status", SWEEP])


def main() -> None:
    """Run the demo, and put what it prints on the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="folder of a demo that is done")
    given: Path | None = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as place:
        run = Runner(Path(place) / "state")
        folder = (given or Path(place) / "sweep-demo").absolute()
        if given is None:
            said = run(["sweep", "demo", folder.name], folder.parent)
            put("sweep-demo", ["$ asr sweep demo", *said.splitlines()])
        lines = []
        for words in AFTER:
            lines += [f"$ asr {' '.join(words)}", *run(words, folder).splitlines()]
        put("sweep-run", lines)
        shutil.copyfile(folder / SWEEP / "report.png", PICTURE)


def put(name: str, lines: list[str]) -> None:
    """Into a block of the page."""
    replace_figures(PAGE, name, "".join(f"    {line}".rstrip() + "\n" for line in lines))


if __name__ == "__main__":
    main()
