"""Rule D005, leaked-text: `pages/D005.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule, Written
from asr_gate.audit.checks.splits import Splits, named
from asr_gate.corpus.utterance import Utterance

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    splits = Splits(context.corpus)
    if not splits.several:
        return
    least = context.policy.corpus.same_speaker_letters
    splits.judge(one.row for one in context.written if one.judged)
    holding: dict[tuple[str, str | None], list[Utterance]] = {}
    for one in context.written:
        for key in _keys(one, least):
            holding.setdefault(key, []).append(one.row)
    same = {key: splits.examples(rows) for key, rows in holding.items()}
    bare = {id(one.row): one.bare for one in context.written}
    for one in context.written:
        for key in _keys(one, least):
            leak = splits.leak(one.row, same[key])
            if leak is not None:
                nearly = "" if bare[id(leak.other)] == one.bare else "nearly "
                said = f"{nearly}the same text as {named(leak.other)}"
                yield Found(one.row.id, said, counts=leak.counts)
                break


def _keys(one: Written, least: int) -> Iterator[tuple[str, str | None]]:
    """What rows must share: the text and its speaker or, of a long text, what it is like."""
    if one.row.speaker is not None and len(one.bare) >= least:
        yield one.bare, one.row.speaker
    if one.group is not None:
        yield one.group, None


RULE = Rule("D005", _find, whole_corpus=True)
