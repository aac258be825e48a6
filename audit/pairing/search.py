"""Which texts an utterance's audio may say: those of a corpus, and of files beside it.

The model's greedy output is looked up in an index of all texts by its character trigrams (BM25),
and those that are found are compared with it by their longest common subsequence. The best few are
aligned to the emission. Character n-grams find a text under noisy recognition, too (McNamee and
Mayfield, "Character n-gram tokenization for European language text retrieval", 2004).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Indel

from asr_gate.audit.acoustic import AcousticModel
from asr_gate.audit.controls.measure import Trials
from asr_gate.audit.pairing.index import Hit, Text, TextIndex
from asr_gate.audit.pairing.texts import TextFile
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.pairing import OtherText, SearchedFile
from asr_gate.audit.sample.lot import lot
from asr_gate.corpus.dealt import on_disk
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.rows import columns
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.text.markup import markup
from asr_gate.corpus.text.mend import mended
from asr_gate.corpus.text.similar import bare
from asr_gate.corpus.utterance import Corpus

SUSPECT = 0.4
"""Mismatch above which an utterance's text is looked for among all others."""
COMPARED = 60
"""Utterances that are searched besides, to know how far wrong texts lie apart."""
LOOKED_UP = 200
"""Texts that the index gives for one utterance."""
ALIGNED = 8
"""Of these, texts that are aligned."""
KEPT = 3
MAX_LETTERS = 2000
"""Of the greedy output that is looked up: some two minutes of speech."""
MAX_CELLS = 50_000_000
"""Frames times letters of one text; of longer recordings nothing is searched."""


class TextSearch:
    """All texts of a corpus and of files, to be searched by what is heard.

    All of it is on disk; while it is indexed, some 40 bytes a text are in memory.
    """

    def __init__(
        self,
        model: AcousticModel,
        corpus: Corpus,
        files: Sequence[TextFile] = (),
        *,
        made_by: Mapping[str, str],
        keep: bool,
        say: Callable[[str], None],
    ) -> None:
        """Index the texts, or open the index of an earlier audit.

        Args:
            model: whose output they are held against.
            corpus: its rows, heard or not, of every split.
            files: more texts.
            made_by: the code and the libraries that decide what is found.
            keep: whether to use an index that an earlier audit made, and to keep this one.
            say: is told of what takes a while.

        Raises:
            UserError: a file cannot be read, holds no text, or changes meanwhile.
        """
        self._model = model
        self._corpus = corpus
        self._files = files
        self._lines = array("Q")
        """Of the texts of all files."""
        self._ends = [len(corpus.utterances) + len(corpus.others)]
        """Numbers of texts after which each file begins, and the last one ends."""
        keys = array("Q")
        letters = 0
        for text in self._of_corpus():
            keys.append(text.key())
            letters += len(text.text)
        for file in files:
            for line, text in file.read():
                self._lines.append(line)
                keys.append(text.key())
                letters += len(text.text)
            if len(keys) == self._ends[-1]:
                raise UserError(f"--texts {file.name}: no text in it")
            self._ends.append(len(keys))
        known = np.frombuffer(keys, np.uint64)
        order = np.argsort(known, kind="stable")
        self._keys, self._order = on_disk(known[order]), on_disk(order)
        del order
        script = f"Latin, {model.info.language}" if model.info.romanised else "as written"
        self._index = TextIndex(
            known,
            letters,
            self._all,
            self._folded,
            {**made_by, "script": script},
            keep=keep,
            say=say,
        )
        for file in files:
            file.require_unchanged()

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def searched(self) -> list[SearchedFile]:
        """The files, as the report names them."""
        return [
            SearchedFile(file=self._name(file), sha256=file.digest, texts=end - start)
            for file, (start, end) in zip(self._files, pairwise(self._ends), strict=True)
        ]

    def near(self, row: Measured) -> dict[str, Transcript]:
        """The texts other than its own that are most like what is heard in an utterance.

        Args:
            row: the utterance, with its text and the greedy output.

        Returns:
            By the id of the first row that has the text, or by file and line.
        """
        heard = bare(" ".join(word.text for word in row.heard))
        frames = row.duration / self._model.info.stride
        found = {}
        for number, text in self.nearest(heard, self._folded(row.text)):
            transcript = self._model.spell(said(text.text), text.lang)
            if 0 < transcript.letters * frames <= MAX_CELLS:
                found[self._place(number)] = transcript
        return found

    def close(self) -> None:
        """Remove what is not kept of the index."""
        self._index.close()

    def nearest(self, heard: str, own: str = "") -> list[tuple[int, Text]]:
        """The texts most like what is heard, by their number among all texts.

        Args:
            heard: as `bare` gives it.
            own: the text that is left out, folded.
        """
        hits: dict[str, tuple[int, Hit]] = {}
        for hit in self._index.near(heard[:MAX_LETTERS], LOOKED_UP):
            number = self._number(hit.key)
            # Of texts that are written otherwise and said the same, the first one.
            if hit.folded != own and number < hits.get(hit.folded, (len(self), None))[0]:
                hits[hit.folded] = number, hit
        ordered = sorted(hits.values(), key=lambda one: one[0])
        best = process.extract(
            heard[:MAX_LETTERS],
            {at: hit.folded for at, (_, hit) in enumerate(ordered)},
            scorer=Indel.normalized_similarity,
            limit=ALIGNED,
            processor=None,
        )
        return [(ordered[at][0], ordered[at][1].text) for _, _, at in best]

    def _number(self, key: int) -> int:
        """Of the first text with this key."""
        return int(self._order[np.searchsorted(self._keys, np.uint64(key))])

    def _place(self, number: int) -> str:
        """The id of a row of the corpus, or the file and the line of another text."""
        first = self._ends[0]
        if number < len(self._corpus.utterances):
            return self._corpus.utterances[number].id
        if number < first:
            return self._corpus.others[number - len(self._corpus.utterances)].id
        file = self._files[bisect_right(self._ends, number) - 1]
        return f"{self._name(file)}:{self._lines[number - first]}"

    def _name(self, file: TextFile) -> str:
        return file.name if file.mirror else self._corpus.relative_origin(str(file.path))

    def _of_corpus(self) -> Iterator[Text]:
        for rows in (self._corpus.utterances, self._corpus.others):
            for text, lang in columns(rows, "text", "lang"):
                yield Text(text, lang)

    def _all(self) -> Iterator[Text]:
        yield from self._of_corpus()
        for file in self._files:
            file.require_unchanged()
            for _, text in file.read():
                yield text
            file.require_unchanged()

    def _folded(self, text: str) -> str:
        text = said(text)
        if self._model.info.romanised:
            text = " ".join(self._model.romanise(word) for word in text.split())
        return bare(text)


def best_of(near: Mapping[str, Transcript], trials: Trials) -> tuple[OtherText, ...]:
    """The texts that fit an utterance best, the best one first.

    Args:
        near: texts by the row that has them, of `TextSearch.near`.
        trials: of the utterance.
    """
    found = [
        OtherText(row, text.letters, loss)
        for row, text in near.items()
        if (loss := trials.loss(text)) is not None
    ]
    return tuple(sorted(found, key=attrgetter("loss", "row"))[:KEPT])


def said(text: str) -> str:
    """A transcript without tags and notes of sounds, which nobody says."""
    return mended(text) if markup(text) else text


def compared(ids: Collection[str], seed: int) -> frozenset[str]:
    """The utterances that are searched whatever their text costs: drawn by their ids alone."""
    ordered = sorted(ids, key=lambda identity: lot("searched", seed, identity))
    return frozenset(ordered[:COMPARED])
