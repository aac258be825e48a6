"""Which utterances say another row's text, by how far wrong texts lie apart.

A right text costs far less than the next best one. How much less wrong texts alone may cost than
the next is seen in the second and third best text of every utterance that was searched: the best
one, right or not, is left out of it. So it needs no utterance whose text is known to be right, and
holds in a corpus where every text is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from rapidfuzz.distance import Indel

from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.pairing import OtherText, Partner
from asr_gate.corpus.rows import columns, with_ids
from asr_gate.corpus.text.similar import bare
from asr_gate.corpus.utterance import Corpus

SHORT = 25
"""Letters under which a text may fit by chance."""
FEWEST_LETTERS = 10
"""Letters under which no text is taken for the right one, or for another than one that differs from
it in fewer: digits are taken for each other."""
MOST = {False: 0.7, True: 0.4}
"""Ratio of the best text's cost to the next one's that no threshold exceeds; True: short texts. Of
83 read English sentences under two models, the second to the third had 0.76 or more, of short texts
0.31 or more."""
MAY_BE = 0.8
"""Ratio of two texts' costs, under which the dearer one is out of question."""
FEW = 20
"""Utterances under which their ratios set no threshold; that is `MOST` then."""
LEAST_LOSS = 0.02
"""Nats a letter: what costs less is as good as recognised."""


@dataclass(frozen=True)
class Matches:
    """The rows whose text was found elsewhere."""

    partners: Mapping[str, Partner]
    """By the id of the utterance that says the text."""
    ratio: Mapping[bool, float]
    """What the ratio of a right text stays under; True: short texts."""
    unsure: Mapping[str, tuple[str, ...]]
    """Texts that fit an utterance better than its own, none of them surely; the best one first."""
    compared: int
    """Utterances whose second and third text set it."""
    searched: int

    @property
    def mismatches(self) -> dict[str, float]:
        """The mismatch of each found text, by the id of the utterance that says it."""
        return {identity: partner.mismatch for identity, partner in self.partners.items()}


def match(rows: Sequence[Measured], corpus: Corpus, *, false_alarm: float) -> Matches:
    """Find the utterances that say another row's text.

    Args:
        rows: the audited utterances.
        corpus: all rows; their texts were searched.
        false_alarm: share of utterances whose text is nowhere that may be given one.
    """
    searched = [row for row in rows if row.others]
    ratios: dict[bool, list[float]] = {False: [], True: []}
    for row in searched:
        _, *wrong = _by_cost(row)
        if len(wrong) > 1:
            ratios[_short(wrong[0])].append(_ratio(wrong[0], wrong[1]))
    limits = {
        short: min(MOST[short], float(np.quantile(values, false_alarm)))
        if len(values) >= FEW
        else MOST[short]
        for short, values in ratios.items()
    }
    tried = {text.row for row in searched for text in row.others}
    texts = _texts({row.id for row in searched} | tried, corpus) if searched else {}
    unsure: dict[str, tuple[str, ...]] = {}
    found: dict[str, tuple[Measured, OtherText, OtherText]] = {}
    for row in searched:
        best, *wrong = _by_cost(row)
        # Of two texts that both are wrong, one costs far less than the other, too.
        if best.row == row.id or best.letters < FEWEST_LETTERS or len(wrong) < 2:
            continue
        if _ratio(best, wrong[0]) < limits[_short(best)]:
            # Which of them it is may rest on a few letters, as with the names of cards.
            like = [text for text in wrong if _alike(text.row, best.row, texts)]
            if like and best.loss > LEAST_LOSS:
                unsure[row.id] = tuple(t.row for t in (best, *like) if t.row != row.id)
            else:
                found[row.id] = (row, best, wrong[0])
        elif not row.words or best.loss < MAY_BE * row.loss:
            near = (text for text in row.others if best.loss >= MAY_BE * text.loss)
            unsure[row.id] = tuple(text.row for text in near)
    same = _same_text({best.row for _, best, _ in found.values()}, corpus)
    partners = {
        identity: Partner(same[best.row], _ratio(best, second), _mismatch(row, best))
        for identity, (row, best, second) in found.items()
        if identity not in same[best.row]
    }
    return Matches(partners, limits, unsure, sum(map(len, ratios.values())), len(searched))


def _by_cost(row: Measured) -> list[OtherText]:
    """The texts that fit an utterance best, its own among them."""
    texts = list(row.others)
    if row.words:
        texts.append(OtherText(row.id, row.letters, row.loss))
    return sorted(texts, key=lambda text: (text.loss, text.row != row.id))


def _texts(wanted: Collection[str], corpus: Corpus) -> dict[str, str]:
    """The texts of rows of the corpus, as `bare` gives them, by id; not those of files."""
    rows = chain(*(columns(some, "id", "text") for some in (corpus.utterances, corpus.others)))
    return {identity: bare(text) for identity, text in rows if identity in wanted}


def _alike(one: str, other: str, texts: Mapping[str, str]) -> bool:
    """Whether the texts of two rows differ, and in fewer letters than a text must have."""
    if one not in texts or other not in texts:
        return False
    return 0 < Indel.distance(texts[one], texts[other]) < FEWEST_LETTERS


def _ratio(best: OtherText, other: OtherText) -> float:
    return max(LEAST_LOSS, best.loss) / max(LEAST_LOSS, other.loss)


def _short(text: OtherText) -> bool:
    return text.letters < SHORT


def _mismatch(row: Measured, best: OtherText) -> float:
    wrong = [text.loss for text in row.others if text is not best]
    usual = row.cohort_loss or (float(np.median(wrong)) if wrong else row.loss)
    return best.loss / max(usual, LEAST_LOSS)


def _same_text(wanted: Collection[str], corpus: Corpus) -> dict[str, tuple[str, ...]]:
    """For each wanted row the ids of all rows that have its text, in the order of the corpus."""
    if not wanted:
        return {}
    sides = corpus.utterances, corpus.others
    own = {one: row.text for rows in sides for one, row in with_ids(rows, wanted).items()}
    text_of = {identity: bare(text) for identity, text in own.items()}
    ids: dict[str, list[str]] = {text: [] for text in text_of.values()}
    for rows in sides:
        for identity, written in columns(rows, "id", "text"):
            if (text := bare(written)) in ids:
                ids[text].append(identity)
    # A text of a file beside the corpus is no row's.
    return {
        identity: tuple(ids[text_of[identity]]) if identity in text_of else (identity,)
        for identity in wanted
    }
