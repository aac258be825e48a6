"""Utterances that the audit holds wrong though nothing was planted in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr_gate.audit.records.controls import Evidence
from asr_gate.audit.records.measured import Measured
from bench.detection.material import Material, greedy
from bench.detection.ours import Tally

MOST = 0.5
"""Share of the held-out judgements from which on an utterance counts as flagged."""
SHOWN = 4
"""Places shown of one utterance."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """One utterance."""

    id: str
    places: list[str]
    """What is doubted, and what the model hears there."""


def flagged(given: Material, rows: list[Measured], tally: Tally) -> list[Flagged]:
    """Those that pass a threshold in most of the judgements by other utterances' thresholds."""
    judgements = tally.judged / len(rows)
    thresholds = {e: float(np.median(values)) for e, values in tally.thresholds.items()}
    found = []
    for number, row in enumerate(rows):
        doubted: set[Evidence] = {
            e for e in thresholds if tally.flagged[row.id, e] > MOST * judgements
        }
        if doubted:
            places = list(_places(given, number, row, doubted, thresholds))
            # What passes most thresholds may yet lie under their median.
            found.append(Flagged(row.id, places or ["close to the thresholds"]))
    return found


def _places(
    given: Material,
    number: int,
    row: Measured,
    doubted: set[Evidence],
    thresholds: dict[Evidence, float],
) -> list[str]:
    words, stride = row.words, given.info.stride

    def around(first: int, last: int) -> str:
        """Some words and their neighbours, as written and as the model hears them."""
        first, last = max(0, first - 1), min(len(words) - 1, last + 1)
        start = words[first].start if first else 0.0
        end = words[last].end if last + 1 < len(words) else row.duration + stride
        part = given.emissions[number][round(start / stride) : round(end / stride)]
        written = " ".join(word.text for word in words[first : last + 1])
        return f"in “{written}”, recognised as “{greedy(part, given.info)}”"

    places = []
    if "mismatch" in doubted:
        places.append("the whole text")
    for i, word in enumerate(words):
        if "deletion" in doubted and word.deletion > thresholds["deletion"]:
            places.append(f"“{word.text}” is not said {around(i, i)}")
        elif "substitution" in doubted and word.substitution > thresholds["substitution"]:
            places.append(f"other speech for “{word.text}” {around(i, i)}")
    for i, gap in enumerate(row.gaps):
        edge = i in (0, len(words))
        if ("insertion" in doubted and gap.insertion > thresholds["insertion"]) or (
            "edge" in doubted and edge and gap.insertion > thresholds["edge"]
        ):
            where = "after the last" if i == len(words) else f"before “{words[i].text}”"
            places.append(f"more is said {where} {around(i, i - 1)}")
    if len(places) > SHOWN:
        places[SHOWN:] = [f"and {len(places) - SHOWN} more"]
    return places
