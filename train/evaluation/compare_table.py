"""A comparison utterance by utterance, as a table for CSV and for the tracker."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from asr_gate.train.evaluation.compare import Comparison


def utterance_table(found: Sequence[Comparison]) -> tuple[list[str], list[list[object]]]:
    """Columns and rows: one row an utterance, with each side's transcript, errors and WER.

    The rows whose WER rose most come first. WER and changes are shares: 1.0 is 100 %.

    Args:
        found: comparisons with the same first side.
    """
    columns = ["id", "domain", "language", "seconds", "words", "reference"]
    columns += ["hypothesis A", "errors A", "WER A"]
    for one in found:
        x = one.letter
        columns += [f"hypothesis {x}", f"errors {x}", f"WER {x}", f"change {x}"]
    lines = []
    for sides in zip(*(one.utterances for one in found), strict=True):
        row, a = sides[0].transcript, sides[0].a
        line: list[object] = [row.id, row.domain, row.language, row.seconds, a.words, row.reference]
        line += [row.hypothesis, a.word_errors, a.word_errors / a.words]
        for side in sides:
            b = side.b
            line += [side.hypothesis, b.word_errors, b.word_errors / b.words, side.change]
        lines.append((max(side.change for side in sides), line))
    return columns, [
        line for _, line in sorted(lines, key=lambda pair: (-pair[0], str(pair[1][0])))
    ]


def as_csv(found: Sequence[Comparison]) -> bytes:
    """The table as CSV in UTF-8."""
    columns, lines = utterance_table(found)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue().encode()
