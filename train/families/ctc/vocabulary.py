"""The letters that a model can write, and how a transcript becomes their ids."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import Wav2Vec2CTCTokenizer

from asr_gate.corpus.errors import UserError
from asr_gate.train.data.normalise import normalise
from asr_gate.train.data.rows import Row

BLANK, UNKNOWN, SPACE = "<pad>", "<unk>", "|"
"""As wav2vec 2.0 has them."""


def spoken(text: str, language: str | None) -> str:
    """A transcript as it is said: numbers read out, lower case, no punctuation, single spaces."""
    return normalise(text, language, "spoken")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by their ids."""

    tokens: tuple[str, ...]
    blank: int
    unknown: int
    space: int

    @classmethod
    def learnt(cls, rows: Iterable[Row]) -> Vocabulary:
        """Every letter of the rows' transcripts, by its code point."""
        letters = {
            letter
            for row in rows
            for letter in spoken(row.utterance.text, row.language)
            if letter != " "
        }
        return cls((BLANK, UNKNOWN, SPACE, *sorted(letters)), blank=0, unknown=1, space=2)

    @classmethod
    def of(cls, tokenizer: Any, blank: int, size: int, source: str) -> Vocabulary:
        """That of a checkpoint.

        Args:
            tokenizer: of the checkpoint.
            blank: id of the blank.
            size: number of the model's tokens.
            source: folder or hub id, for messages.

        Raises:
            UserError: it is no vocabulary of letters.
        """
        ids = tokenizer.get_vocab()
        if not all(isinstance(one, int) for one in ids.values()):
            raise UserError(
                f"{source}: has a vocabulary for each of {len(ids)} languages; name one with "
                "model.adapter=CODE, e.g. heb"
            )
        tokens = [f"<unused {index}>" for index in range(size)]
        for token, index in ids.items():
            if index < size:
                tokens[index] = token
        delimiter = getattr(tokenizer, "word_delimiter_token", None)
        space, unknown = (ids.get(str(one)) for one in (delimiter, tokenizer.unk_token))
        if space is None or unknown is None or not 0 <= blank < size:
            raise UserError(
                f"{source}: its vocabulary has no word delimiter, no unknown token or no blank; "
                "train with model.vocabulary=corpus"
            )
        return cls(tuple(tokens), blank=blank, unknown=unknown, space=space)

    @property
    def upper(self) -> bool:
        """Whether it has capitals and no small letters."""
        cases = {unicodedata.category(one) for one in self.tokens if len(one) == 1}
        return "Lu" in cases and "Ll" not in cases

    def written(self, text: str, language: str | None) -> str:
        """A transcript in this vocabulary's case."""
        said = spoken(text, language)
        return said.upper() if self.upper else said

    def ids(self, text: str, language: str | None) -> list[int]:
        """A transcript as tokens; letters that the model does not know are the unknown one."""
        known = {token: index for index, token in enumerate(self.tokens)} | {" ": self.space}
        return [known.get(letter, self.unknown) for letter in self.written(text, language)]

    def text(self, ids: Iterable[int]) -> str:
        """What tokens say; those that are no letters are left out."""
        letters = (
            " " if index == self.space else token if len(token) == 1 else ""
            for index, token in ((index, self.tokens[index]) for index in ids)
        )
        return " ".join("".join(letters).split())

    def require(self, rows: Sequence[Row], source: str) -> None:
        """Check that it can write a corpus.

        Raises:
            UserError: more than one letter of a hundred is missing.
        """
        letters = Counter(
            letter
            for row in rows
            for letter in self.written(row.utterance.text, row.language)
            if letter != " "
        )
        missing = [(n, letter) for letter, n in letters.items() if letter not in self.tokens]
        share = sum(n for n, _ in missing) / max(1, letters.total())
        if share > 0.01:
            shown = ", ".join(letter for _, letter in sorted(missing, reverse=True)[:5])
            raise UserError(
                f"{source}: cannot write {100 * share:.0f} % of the letters of the rows that train "
                f"(first {shown}); say model.vocabulary=corpus"
            )

    def tokenizer(self) -> Wav2Vec2CTCTokenizer:
        """As plain transformers has it."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "vocab.json"
            ids = {token: index for index, token in enumerate(self.tokens)}
            path.write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
            return Wav2Vec2CTCTokenizer(
                str(path),
                bos_token=None,
                eos_token=None,
                unk_token=self.tokens[self.unknown],
                pad_token=self.tokens[self.blank],
                word_delimiter_token=self.tokens[self.space],
            )


@dataclass(frozen=True)
class Processor:
    """What a checkpoint needs beside its weights."""

    extractor: Any
    vocabulary: Vocabulary

    def save_pretrained(self, folder: Path) -> None:
        """Write both as transformers reads them."""
        self.extractor.save_pretrained(folder)
        self.vocabulary.tokenizer().save_pretrained(folder)
