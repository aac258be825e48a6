"""Which transcripts of a corpus may be like another one, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.checks.rule import Written
from asr_gate.corpus.rows import BLOCK, columns
from asr_gate.corpus.text.similar import BANDS, SKETCH, bare, groups, keys_of, with_company
from asr_gate.corpus.utterance import Corpus

if TYPE_CHECKING:
    from asr_gate.audit.policy import CorpusPolicy


def alike(corpus: Corpus, limits: CorpusPolicy) -> list[Written]:
    """The transcripts that may be like another one, with what each is like."""
    sides = corpus.utterances, corpus.others
    many = np.flatnonzero(with_company(_keys(corpus, limits), limits.near_duplicate))
    first = len(corpus.utterances)
    numbers = many[many < first], many[many >= first] - first
    found = [
        (rows[at], judged)
        for rows, members, judged in zip(sides, numbers, (True, False), strict=True)
        for at in members.tolist()
    ]
    texts = [bare(row.text) for row, _ in found]
    long = [text for text in texts if len(text) >= limits.near_duplicate_letters]
    like = groups(long, least=limits.near_duplicate)
    return [
        Written(row, text, like.get(text), judged)
        for (row, judged), text in zip(found, texts, strict=True)
    ]


def _keys(
    corpus: Corpus, limits: CorpusPolicy
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """What each row may share: its text or, if that is short, text and speaker; and the bands of
    its signature. With the sketches of texts."""
    number = 0
    for rows in (corpus.utterances, corpus.others):
        stream = columns(rows, "text", "speaker")
        while some := list(islice(stream, BLOCK)):
            texts = [bare(text) for text, _ in some]
            speakers = [speaker for _, speaker in some]
            # Nothing to share: a number that no other row has.
            own = np.arange(number, number + len(some) * (BANDS + 1), dtype=np.uint64)
            number += own.size
            keys = (own * np.uint64(0x9E3779B97F4A7C15)).reshape(len(some), BANDS + 1)
            long = [
                at for at, text in enumerate(texts) if len(text) >= limits.near_duplicate_letters
            ]
            for at in long:
                keys[at, 0] = hash(texts[at]) % 2**64
            short = set(range(len(some))).difference(long)
            for at in short:
                if speakers[at] is not None and len(texts[at]) >= limits.same_speaker_letters:
                    keys[at, 0] = hash((texts[at], speakers[at])) % 2**64
            sketches = np.zeros((len(some), SKETCH), np.uint64)
            if long:
                keys[long, 1:], sketches[long] = keys_of([texts[at] for at in long])
            yield keys, sketches
