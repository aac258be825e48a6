"""From how many words on can an audit tell a right transcript from a wrong one?

Cuts real English sentences with hand-verified word times into clips of one to six words, and audits
them by the real command, each length as a domain of its own, beside the whole sentences and single
spoken digits: once with their own transcripts, once with a third of each domain's transcripts moved
to the next. Needs a NeMo-style manifest of English speech with word times (`--data`, default
`../shared/speech/manifest.jsonl`) and an acoustic model (`--aligner`, default the QuartzNet 15x5
export of `../shared/models`).

Run: python -m bench.short_utterances
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.docs import replace_figures
from bench.needed import Missing, speech_and_model
from bench.real_speech import audit, moved

PAGE = Path(__file__).parents[1] / "docs" / "short-utterances.md"
LENGTHS = (1, 2, 3, 4, 6)
CLIPS = 48
"""Of each length."""
MARGIN = 0.05
"""Seconds before and after a clip."""
DIGITS = "fsdd_"
"""How the ids of spoken digits begin."""

Row = dict[str, Any]


def main() -> None:
    """Measure, print, and put the table into the page."""
    data, aligner = speech_and_model(__doc__)
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    timed = [row for row in rows if row["lang"] == "en" and row.get("words")]
    if not timed:
        raise Missing(f"{data}: no English rows with word times")
    domains = {"digits": [row for row in rows if row["id"].startswith(DIGITS)]}
    for length in LENGTHS:
        name = f"{length} word{'s' if length > 1 else ''}"
        domains[name] = list(_clips(timed, length))[:CLIPS]
    domains["sentences"] = timed
    right = [{**row, "domain": d} for d, members in domains.items() for row in members]
    wrong, mixed = _with_a_third_moved(right)
    with tempfile.TemporaryDirectory() as temporary:
        first = audit(right, aligner, data.parent, Path(temporary))
    with tempfile.TemporaryDirectory() as temporary:
        second = audit(mixed, aligner, data.parent, Path(temporary))
    lines = [
        f"Aligner: {first['aligner']['name']}.\n\n",
        "| utterances of | utterances | swapped found | right ones that pass as well | judged "
        "| right ones excluded | a third moved: judged | moved ones excluded "
        "| right ones excluded |\n",
        "|---|---:|---:|---:|---|---:|---|---:|---:|\n",
        *(_line(domain, right, wrong, first, second) for domain in domains),
    ]
    print("".join(lines))
    replace_figures(PAGE, "short-utterances", "".join(lines))


def _clips(rows: list[Row], length: int) -> Iterator[Row]:
    """Clips of so many words, one after the other, from one sentence after the other."""
    for row in rows:
        words = row["words"]
        for first in range(0, len(words) - length + 1, length):
            part = words[first : first + length]
            start = max(0.0, part[0]["start"] - MARGIN)
            yield {
                "id": f"{row['id']}-{length}-{first}",
                "audio_filepath": row["audio_filepath"],
                "offset": start,
                "duration": min(row["duration"], part[-1]["end"] + MARGIN) - start,
                "text": " ".join(word["word"] for word in part),
                "lang": "en",
            }


def _with_a_third_moved(rows: list[Row]) -> tuple[set[str], list[Row]]:
    """The ids of every third row of each domain, and all rows, these with texts of each other."""
    changed = {
        row["id"]: row
        for _, members in groupby(rows, key=lambda row: row["domain"])
        for row in moved(list(members)[::3])
    }
    return set(changed), [changed.get(row["id"], row) for row in rows]


def _line(
    domain: str, rows: list[Row], wrong: set[str], first: dict[str, Any], second: dict[str, Any]
) -> str:
    members = {row["id"] for row in rows if row["domain"] == domain}
    swapped = first["domain_controls"][domain]["swapped"]
    passing = sum(f["code"] == "A008" for f in first["findings"] if f["id"] in members)
    cells = [
        domain,
        str(len(members)),
        f"{swapped['detected']} of {swapped['n']}",
        f"{passing} of {len(members)}",
        _judged(first, domain),
        f"{len(_excluded(first) & members)}",
        _judged(second, domain),
        f"{len(_excluded(second) & members & wrong)} of {len(members & wrong)}",
        f"{len(_excluded(second) & members - wrong)} of {len(members - wrong)}",
    ]
    return f"| {' | '.join(cells)} |\n"


def _judged(report: dict[str, Any], domain: str) -> str:
    return "no" if report["domain_statistics"][domain]["cannot_tell"] else "yes"


def _excluded(report: dict[str, Any]) -> set[str]:
    return {f["id"] for f in report["findings"] if f["severity"] == "error" and f["counts"]}


if __name__ == "__main__":
    main()
