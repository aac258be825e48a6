"""Are texts that went to the wrong rows found, named, and put back?

Moves the texts of real English speech (`--data`, default `../shared/speech/manifest.jsonl`) in six
ways, audits each with `asr audit`, counts the rows that get their own text back, repairs each with
`asr clean --repair`, and audits that. Texts of ten letters or more. With the embedded model and
another one (`--aligner`, default the QuartzNet 15x5 export of `../shared/models`).

Run: python -m bench.pairing
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_gate.audit.gate.tables import load
from asr_gate.audit.records.report import Report
from bench.docs import replace_figures
from bench.needed import speech_and_model
from bench.real_speech import audit, english

PAGE = Path(__file__).parents[1] / "docs" / "detection.md"
LETTERS = 10
"""Of a text at least: single digits are the same in many rows."""
MIXED = 0.3
SEED = 1


def main() -> None:
    """Measure, print, and put the table into the page."""
    data, real = speech_and_model(__doc__)
    rows = [row for row in english(data) if sum(map(str.isalpha, row["text"])) >= LETTERS]
    lines = [
        f"{len(rows)} English utterances.\n\n",
        "| texts | aligner | wrong rows | own text back | wrong text given | named | decision "
        "| after the repair |\n",
        "|---|---|---:|---:|---:|---|---|---|\n",
    ]
    for aligner in ("embedded", real):
        for name, texts in ways([row["text"] for row in rows]).items():
            moved = [{**row, "text": text} for row, text in zip(rows, texts, strict=True)]
            cells = measured(rows, moved, aligner, data.parent)
            lines.append(f"| {name} | {aligner.rpartition('/')[2]} | {' | '.join(cells)} |\n")
            print(lines[-1], end="", flush=True)
    replace_figures(PAGE, "pairing", "".join(lines))


def ways(texts: Sequence[str]) -> dict[str, list[str]]:
    """The texts of all rows, moved in each way."""
    many, half = len(texts), len(texts) // 2
    pairs = list(texts)
    for at in range(0, many - 1, 2):
        pairs[at], pairs[at + 1] = texts[at + 1], texts[at]
    chosen = random.Random(SEED).sample(range(many), round(MIXED * many))
    mixed = list(texts)
    for at, to in zip(chosen, chosen[1:] + chosen[:1], strict=True):
        mixed[at] = texts[to]
    return {
        "as they are": list(texts),
        "shifted by one": [*texts[1:], texts[0]],
        "shifted by three": [*texts[-3:], *texts[:-3]],
        "shifted from the middle on": [*texts[:half], *texts[half + 1 :], texts[half]],
        "halves exchanged": [*texts[half : 2 * half], *texts[:half], *texts[2 * half :]],
        "swapped in pairs": pairs,
        "30 % mixed": mixed,
    }


def measured(
    rows: Sequence[dict[str, Any]],
    moved: Sequence[dict[str, Any]],
    aligner: str,
    root: Path,
) -> list[str]:
    """The cells of one line."""
    said = {row["id"]: row["text"] for row in rows}
    written = {row["id"]: row["text"] for row in moved}
    wrong = {identity for identity, text in written.items() if text != said[identity]}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        audit(moved, aligner, root, folder)
        report = load(folder / "phase0").content
        found = {one.id: written[one.text_of] for one in report.pairing.found}
        right = sum(found.get(identity) == said[identity] for identity in wrong)
        given = sum(text != said[identity] for identity, text in found.items())
        after = "-" if not found else _repaired(folder, aligner, root)
    return [
        str(len(wrong)),
        f"{right} ({100 * right / len(wrong):.0f} %)" if wrong else "-",
        str(given),
        _named(report),
        report.decision,
        after,
    ]


def _named(report: Report) -> str:
    names = []
    for one in report.pairing.patterns:
        by = "" if one.by is None or one.kind != "shifted" else f" by {abs(one.by)}"
        names.append(f"{one.kind}{by}, {one.rows} rows")
    return "; ".join(names) or "-"


def _repaired(folder: Path, aligner: str, root: Path) -> str:
    """The decision on what `asr clean --repair` writes."""
    (manifest,) = folder.glob("*.jsonl")
    clean = [sys.executable, "-m", "asr_gate", "clean", str(folder / "phase0"), "--repair"]
    clean += ["--data", str(manifest), "--out", str(folder / "repaired.jsonl")]
    clean += ["--audio-root", str(root)]
    subprocess.run(clean, check=True, stdout=subprocess.DEVNULL)
    lines = (folder / "repaired.jsonl").read_text(encoding="utf-8").splitlines()
    again = folder / "again"
    again.mkdir()
    audit([json.loads(line) for line in lines], aligner, root, again)
    report = load(again / "phase0").content
    return f"{report.decision}, {len(lines)} rows, {report.low_quality_percentage:.1f} %"


if __name__ == "__main__":
    main()
