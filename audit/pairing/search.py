"""Which texts of a corpus an utterance's audio may say.

The model's greedy output is looked up in an index of all texts by its character trigrams (BM25, as
tantivy computes it), and those that are found are compared with it by their longest common
subsequence. The best few are aligned to the emission. Character n-grams find a text under noisy
recognition, too (McNamee and Mayfield, "Character n-gram tokenization for European language text
retrieval", 2004).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter

import tantivy
from rapidfuzz import process
from rapidfuzz.distance import Indel

from asr_gate.audit.acoustic import AcousticModel
from asr_gate.audit.controls.measure import Trials
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.pairing import OtherText
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.text.markup import markup
from asr_gate.corpus.text.mend import mended
from asr_gate.corpus.text.similar import bare
from asr_gate.corpus.utterance import Utterance

SUSPECT = 0.4
"""Mismatch above which an utterance's text is looked for among all others."""
COMPARED = 60
"""Utterances that are searched besides, to know how far wrong texts lie apart."""
LOOKED_UP = 200
"""Texts that the index gives for one utterance."""
ALIGNED = 8
"""Of these, texts that are aligned."""
KEPT = 3
GRAM = 3
MAX_LETTERS = 2000
"""Of the greedy output that is looked up: some two minutes of speech."""
MAX_CELLS = 50_000_000
"""Frames times letters of one text; of longer recordings nothing is searched."""


class TextSearch:
    """All different texts of a corpus, to be searched by what is heard."""

    def __init__(self, model: AcousticModel, rows: Iterable[Utterance]) -> None:
        """Index the texts.

        Args:
            model: whose output they are held against.
            rows: of the corpus, heard or not, of every split.
        """
        self._model = model
        self._rows: list[Utterance] = []
        self._bare: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix="asr-texts-")
        schema = (
            tantivy.SchemaBuilder()
            .add_text_field("text", tokenizer_name="grams", index_option="freq")
            .add_unsigned_field("number", stored=True)
            .build()
        )
        index = tantivy.Index(schema, self._folder.name)
        grams = tantivy.Tokenizer.ngram(min_gram=GRAM, max_gram=GRAM, prefix_only=False)
        index.register_tokenizer("grams", tantivy.TextAnalyzerBuilder(grams).build())
        # One thread, so that texts of equal rank come in the same order every time.
        writer = index.writer(heap_size=50_000_000, num_threads=1)
        seen: set[str] = set()
        for row in rows:
            text = self._folded(row.text)
            if not text or text in seen:
                continue
            seen.add(text)
            document = tantivy.Document()
            document.add_text("text", text)
            document.add_unsigned("number", len(self._rows))
            writer.add_document(document)
            self._rows.append(row)
            self._bare.append(text)
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        self._schema = schema
        self._searcher = index.searcher()

    def __len__(self) -> int:
        return len(self._rows)

    def near(self, row: Measured) -> dict[str, Transcript]:
        """The texts other than its own that are most like what is heard in an utterance.

        Args:
            row: the utterance, with its text and the greedy output.

        Returns:
            By the id of the first row that has the text.
        """
        heard = bare(" ".join(word.text for word in row.heard))
        frames = row.duration / self._model.info.stride
        found = {}
        for number in self._nearest(heard, self._folded(row.text)):
            other = self._rows[number]
            transcript = self._model.spell(said(other.text), other.lang)
            if 0 < transcript.letters * frames <= MAX_CELLS:
                found[other.id] = transcript
        return found

    def stop(self) -> None:
        """Remove the index."""
        self._folder.cleanup()

    def _nearest(self, heard: str, own: str) -> list[int]:
        heard = heard[:MAX_LETTERS]
        grams = sorted({heard[at : at + GRAM] for at in range(len(heard) - GRAM + 1)})
        if not grams:
            return []
        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "text", gram))
            for gram in grams
        ]
        query = tantivy.Query.boolean_query(terms)
        hits = self._searcher.search(query, limit=LOOKED_UP).hits
        numbers = sorted(self._searcher.doc(at)["number"][0] for _, at in hits)
        texts = {n: self._bare[n] for n in numbers if self._bare[n] != own}
        best = process.extract(
            heard, texts, scorer=Indel.normalized_similarity, limit=ALIGNED, processor=None
        )
        return [number for _, _, number in best]

    def _folded(self, text: str) -> str:
        words = said(text).split()
        return bare(" ".join(self._model.romanise(word) for word in words))


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

    def lot(identity: str) -> str:
        return hashlib.sha256(f"{seed}:{identity}".encode()).hexdigest()

    return frozenset(sorted(ids, key=lot)[:COMPARED])
