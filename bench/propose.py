"""How often is the text that an audit proposes the right one?

Plants one error in three of eight texts, a word that nobody says, a word in place of another, or a
word left out, audits with `asr audit`, and compares what is proposed with the text before: letters
alone, in any case. Four audits, so that half of the texts have each error once. On the bundled
corpus with the embedded model, and on real English speech (`--data`, default
`../shared/speech/manifest.jsonl`) with another acoustic model (`--aligner`, default the QuartzNet
15x5 export of `../shared/models`).

Run: python -m bench.propose
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_gate.audit.gate.tables import load
from asr_gate.audit.review.to_review import proposals
from bench.docs import replace_figures
from bench.needed import speech_and_model
from bench.real_speech import audit, english

PAGE = Path(__file__).parents[1] / "docs" / "corrections.md"
EXAMPLE = Path(__file__).parents[1] / "audit" / "example" / "proceed.jsonl"
PLANTED = {"a word nobody says": "A005", "another word": "A006", "a word left out": "A007"}
SOUND = 5
"""Texts that are left as they are, for each three that are not: more errors than a corpus has would
spoil the controls."""
AUDITS = 4
SURE = 0.5
"""Confidence of the last columns."""


def main() -> None:
    """Measure, print, and put the table into the page."""
    data, real = speech_and_model(__doc__)
    example = [json.loads(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    lines = [
        "| speech | aligner | planted | texts | proposed | right of them "
        f"| of confidence {SURE} or more | right of them |\n",
        "|---|---|---|---:|---:|---:|---:|---:|\n",
    ]
    for name, rows, root, aligner in (
        ("bundled corpus", example, EXAMPLE.parent, "embedded"),
        ("real English", english(data), data.parent, real),
    ):
        rows = [row for row in rows if len(row["text"].split()) > 3]
        for said, counts in measured(rows, root, aligner).items():
            lines.append(
                f"| {name} | {aligner.rpartition('/')[2]} | {said} | {counts['texts']} "
                f"| {_share(counts, 'proposed', 'texts')} | {_share(counts, 'right', 'proposed')} "
                f"| {_share(counts, 'sure', 'texts')} | {_share(counts, 'sure right', 'sure')} |\n"
            )
            print(lines[-1], end="", flush=True)
    replace_figures(PAGE, "proposals", "".join(lines))


def measured(rows: Sequence[dict[str, Any]], root: Path, aligner: str) -> dict[str, Counter[str]]:
    """Counts by what was planted; `nothing` for the texts that were left as they are."""
    kinds = [*PLANTED, *["nothing"] * SOUND]
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    for turn in range(AUDITS):
        chosen = [kinds[(number + 2 * turn) % len(kinds)] for number in range(len(rows))]
        changed = [
            {**row, "text": planted(row["text"], kind, rows, random.Random(f"{turn} {number}"))}
            for number, (row, kind) in enumerate(zip(rows, chosen, strict=True))
        ]
        with tempfile.TemporaryDirectory() as temporary:
            audit(changed, aligner, root, Path(temporary))
            proposed = proposals(load(Path(temporary) / "phase0"))
        for row, kind in zip(rows, chosen, strict=True):
            found = proposed.get(row["id"])
            right = found is not None and _letters(found.text) == _letters(row["text"])
            sure = found is not None and found.confidence >= SURE
            counts[kind].update(
                {
                    "texts": 1,
                    "proposed": found is not None,
                    "right": right,
                    "sure": sure,
                    "sure right": right and sure,
                }
            )
    return counts


def planted(text: str, kind: str, rows: Sequence[dict[str, Any]], chance: random.Random) -> str:
    """A text with one error, not in its first or last word."""
    words = text.split()
    place = chance.randrange(1, len(words) - 1)
    others = [
        w for w in chance.choice(rows)["text"].split() if _letters(w) != _letters(words[place])
    ]
    other = chance.choice(others)
    return " ".join(
        {
            "a word nobody says": [*words[:place], other, *words[place:]],
            "another word": [*words[:place], other, *words[place + 1 :]],
            "a word left out": [*words[:place], *words[place + 1 :]],
        }.get(kind, words)
    )


def _letters(text: str) -> str:
    return " ".join("".join(c for c in w if c.isalnum()) for w in text.lower().split())


def _share(counts: Counter[str], part: str, whole: str) -> str:
    return f"{counts[part]} ({100 * counts[part] / counts[whole]:.0f} %)" if counts[whole] else "0"


if __name__ == "__main__":
    main()
