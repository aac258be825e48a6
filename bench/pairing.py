"""Are texts that went to the wrong rows found, named, and put back?

Moves the texts of real English speech (`--data`, default `../shared/speech/manifest.jsonl`) in
several ways, audits each with `asr audit`, repairs it with `asr clean --repair`, counts the rows
that get their own text back, and audits what was written. Texts of ten letters or more. With the
embedded model and another one (`--aligner`, default the QuartzNet 15x5 export of
`../shared/models`). Then the same with Hebrew rows: by the embedded Hebrew model, and romanised by
these two, which know English.

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
from bench.real_speech import audit, english, hebrew

PAGE = Path(__file__).parents[1] / "docs" / "detection.md"
LETTERS = 10
"""Of a text at least: single digits are the same in many rows."""
MIXED = 0.3
HEBREW = ("as they are", "shifted by one", "swapped in pairs")
CROSSING = 2
"""Words on the wrong side of a boundary."""
SEED = 1


def main() -> None:
    """Measure, print, and put the table into the page."""
    data, real = speech_and_model(__doc__)
    rows = [row for row in english(data) if letters(row) >= LETTERS]
    lines = [
        f"{len(rows)} English utterances.\n\n",
        "| texts | aligner | wrong rows | own text back | wrong text given | named | decision "
        "| after the repair |\n",
        "|---|---|---:|---:|---:|---|---|---|\n",
    ]
    for aligner in ("embedded", real):
        for name, texts in ways([row["text"] for row in rows]).items():
            lines.append(line(name, rows, texts, aligner, data.parent))
    spoken = [row for row in hebrew(data) if letters(row) >= LETTERS]
    latin = romanised(spoken)
    for title, chosen, aligner, options in (
        ("Hebrew", spoken, "embedded", ("--language", "he")),
        ("Hebrew, romanised", latin, "embedded", ()),
        ("Hebrew, romanised", latin, real, ()),
    ):
        for name, texts in ways([row["text"] for row in chosen]).items():
            if name in HEBREW:
                lines.append(
                    line(f"{title}, {name}", chosen, texts, aligner, data.parent, *options)
                )
    replace_figures(PAGE, "pairing", "".join(lines))


def letters(row: dict[str, Any]) -> int:
    """How many letters a row's text has."""
    return sum(map(str.isalpha, row["text"]))


def line(
    name: str,
    rows: Sequence[dict[str, Any]],
    texts: Sequence[str],
    aligner: str,
    root: Path,
    *options: str,
) -> str:
    """One line of the table, printed as well."""
    moved = [{**row, "text": text} for row, text in zip(rows, texts, strict=True)]
    cells = measured(rows, moved, aligner, root, *options)
    title = " ".join([aligner.rpartition("/")[2], *options])
    found = f"| {name} | {title} | {' | '.join(cells)} |\n"
    print(found, end="", flush=True)
    return found


def romanised(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hebrew rows in Latin letters."""
    import uroman

    latin = uroman.Uroman()
    return [
        {**row, "text": str(latin.romanize_string(row["text"], lcode="heb")), "lang": None}
        for row in rows
    ]


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
        "boundaries off by two words": boundaries(texts),
        "next text run in, every third row": [
            f"{text} {texts[at + 1]}" if at % 3 == 0 and at + 1 < many else text
            for at, text in enumerate(texts)
        ],
        "one text in every third row": [
            sorted(texts, key=len)[many // 2] if at % 3 == 0 else text
            for at, text in enumerate(texts)
        ],
    }


def boundaries(texts: Sequence[str]) -> list[str]:
    """The last words of each row at the beginning of the next one, where it has enough of them."""
    words = [text.split() for text in texts]
    cut = [max(0, min(CROSSING, len(one) - CROSSING)) for one in words]
    cut[-1] = 0
    return [
        " ".join([*(before[len(before) - gone :] if gone else []), *own[: len(own) - left]])
        for before, gone, own, left in zip([[], *words], [0, *cut], words, cut, strict=False)
    ]


def measured(
    rows: Sequence[dict[str, Any]],
    moved: Sequence[dict[str, Any]],
    aligner: str,
    root: Path,
    *options: str,
) -> list[str]:
    """The cells of one line."""
    said = {row["id"]: " ".join(row["text"].split()) for row in rows}
    written = {row["id"]: " ".join(row["text"].split()) for row in moved}
    wrong = {identity for identity, text in written.items() if text != said[identity]}
    right = given = 0
    after = "-"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        audit(moved, aligner, root, folder, *options)
        report = load(folder / "phase0").content
        if report.decision != "NO_VERDICT" and (report.pairing.found or report.pairing.moved):
            changed, after = _repaired(folder, aligner, root, *options)
            right = sum(changed.get(identity) == said[identity] for identity in wrong)
            given = sum(text != said[identity] for identity, text in changed.items())
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


def _repaired(folder: Path, aligner: str, root: Path, *options: str) -> tuple[dict[str, str], str]:
    """The texts that `asr clean --repair` wrote by id, and the decision on what it wrote."""
    (manifest,) = folder.glob("*.jsonl")
    clean = [sys.executable, "-m", "asr_gate", "clean", str(folder / "phase0"), "--repair"]
    clean += ["--data", str(manifest), "--out", str(folder / "repaired.jsonl")]
    clean += ["--audio-root", str(root)]
    subprocess.run(clean, check=True, stdout=subprocess.DEVNULL)
    log = folder / "repaired.jsonl.fixed.jsonl"
    fixed = [json.loads(one) for one in log.read_text(encoding="utf-8").splitlines()]
    lines = (folder / "repaired.jsonl").read_text(encoding="utf-8").splitlines()
    again = folder / "again"
    again.mkdir()
    audit([json.loads(one) for one in lines], aligner, root, again, *options)
    report = load(again / "phase0").content
    decision = f"{report.decision}, {len(lines)} rows, {report.low_quality_percentage:.1f} %"
    return {one["id"]: " ".join(one["after"].split()) for one in fixed}, decision


if __name__ == "__main__":
    main()
