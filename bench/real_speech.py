"""Does coverage tell a right transcript from a wrong one, on real English speech?

Audits real recordings twice, with their own transcripts and with every transcript moved to the
next recording, by the real command, and prints coverage and verdict of both. Needs a NeMo-style
manifest of English speech (`--data`, default `../shared/speech/manifest.jsonl`) and, beside the
embedded model, any other acoustic model (`--aligner`, default the QuartzNet 15x5 export of
`../shared/models`).

Run: python -m bench.real_speech
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.docs import replace_figures
from bench.needed import speech_and_model

PAGE = Path(__file__).parents[1] / "docs" / "real-speech.md"


def main() -> None:
    """Measure, print, and put the table into the page."""
    data, real = speech_and_model(__doc__)
    rows = english(data)
    minutes = sum(row["duration"] for row in rows) / 60
    lines = [
        f"{len(rows)} English utterances without digits, {minutes:.1f} minutes.\n\n",
        "| aligner | transcripts | median coverage | p10 | p90 | low quality | decision |\n",
        "|---|---|---:|---:|---:|---:|---|\n",
    ]
    for aligner in (real, "embedded"):
        for kind, changed in (
            ("right", rows),
            ("right, single words aside", [row for row in rows if len(row["text"].split()) > 1]),
            ("moved to the next", moved(rows)),
        ):
            with tempfile.TemporaryDirectory() as temporary:
                report = audit(changed, aligner, data.parent, Path(temporary))
            d = report["coverage_distribution"]
            lines.append(
                f"| {report['aligner']['name']} | {kind} | {d['p50']:.2f} | {d['p10']:.2f} "
                f"| {d['p90']:.2f} | {report['low_quality_percentage']:.1f} % "
                f"| {report['decision']} |\n"
            )
            print(lines[-1], end="", flush=True)
    replace_figures(PAGE, "real-speech", "".join(lines))


def english(manifest: Path) -> list[dict[str, Any]]:
    """The English rows whose text has no digits."""
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return [r for r in rows if r["lang"] == "en" and not any(c.isdigit() for c in r["text"])]


def hebrew(manifest: Path) -> list[dict[str, Any]]:
    """The Hebrew rows."""
    rows = map(json.loads, manifest.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row["lang"] == "he"]


def moved(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every recording with the transcript of the one before it."""
    return [
        {**row, "text": before["text"]}
        for row, before in zip(rows, [rows[-1], *rows[:-1]], strict=True)
    ]


def audit(
    rows: Sequence[dict[str, Any]], aligner: str, root: Path, folder: Path, *options: str
) -> dict[str, Any]:
    """The report of `asr audit`, which lands in a folder, on rows whose audio lies under `root`."""
    manifest = folder / "manifest.jsonl"
    absolute = [{**row, "audio_filepath": str(root / row["audio_filepath"])} for row in rows]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in absolute), encoding="utf-8")
    asr = Path(sys.executable).parent / "asr"
    command = [str(asr), "audit", str(manifest), "--all", "--aligner", aligner]
    command += ["--audio-root", str(root), *options]
    command += ["--out", str(folder), "--no-wandb", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 20, 30):
        sys.exit(done.stderr)
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


if __name__ == "__main__":
    main()
