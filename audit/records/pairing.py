"""Whose text an utterance says, beside its own: what is measured of it, and what is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from asr_gate.audit.records.finding import Frozen


@dataclass(frozen=True, slots=True)
class OtherText:
    """A text of another row, aligned to an utterance's audio."""

    row: str
    """Id of the first row that has this text."""
    letters: int
    loss: float
    """What it costs over the model's greedy output, nats a letter."""


@dataclass(frozen=True, slots=True)
class Partner:
    """The text that an utterance says, where that is another row's."""

    rows: tuple[str, ...]
    """Ids of the rows that have it, in the order of the corpus."""
    ratio: float
    """Its cost over that of the next best text: near 0 where it is surely this one."""
    mismatch: float
    """Its cost over that of texts of others, as the mismatch of an utterance's own text."""


PatternKind = Literal[
    "shifted",
    "exchanged",
    "swapped",
    "permuted",
    "renumbered",
    "repeated",
    "run_in",
    "boundaries",
    "elsewhere",
]


class Pattern(Frozen):
    """Rows whose texts went astray together."""

    kind: PatternKind
    manifest: str
    first: str
    last: str
    """Ids of the first and the last row of it, in the order of the manifest."""
    by: int | None
    """Shifted, exchanged: how many rows later in the corpus the right text stands; negative:
    earlier."""
    rows: int
    """Rows whose text was found in this way."""
    sentence: str


class FoundRow(Frozen):
    """One row whose audio says the text of another one."""

    id: str
    text_of: str
    """Id of the row that has the text; of several, the one that fits the pattern, or the first. Of
    a text of `--texts`, its file and line."""
    ratio: float | None
    """What the text costs over the next best one; null: it was not found by itself, and the rows
    around it are shifted."""
    row: int
    """Its number among the rows of the corpus, from 1; those of other splits come last."""
    text_row: int | None
    """The number of the row that has the text; null: it is one of `--texts`."""


class UnsureRow(Frozen):
    """A row that may say the text of one of several others."""

    id: str
    candidates: list[str]
    """Ids of the rows, or files and lines of `--texts`; the likeliest first."""


End = Literal["first", "last"]


class MovedWords(Frozen):
    """Words of a row that are said in the row before or after it."""

    id: str
    end: End
    """Whether they are its first words or its last ones."""
    words: str
    to: str | None
    """Id of the row that says them and does not have them; null: it has them, and they are written
    twice."""


class SearchedFile(Frozen):
    """A file of `--texts`."""

    file: str
    """Relative to the folder of the manifests."""
    sha256: str
    texts: int


class Pairing(Frozen):
    """What the search for texts of other rows found."""

    searched: int = 0
    """Utterances whose audio was held against the texts of all rows."""
    ratio: float = 0.0
    """Cost of the best text over the next best, at most, for a text to be taken for the right one;
    where there are 25 letters or more."""
    ratio_short: float = 0.0
    """The same where there are fewer."""
    compared: int = 0
    """Utterances whose second and third best text showed how far wrong texts lie apart."""
    found: list[FoundRow] = Field(default_factory=list)
    patterns: list[Pattern] = Field(default_factory=list)
    unsure: list[UnsureRow] = Field(default_factory=list, exclude_if=lambda rows: not rows)
    """Rows whose own text does not fit, and of others several do: for people to decide."""
    moved: list[MovedWords] = Field(default_factory=list, exclude_if=lambda moved: not moved)
    files: list[SearchedFile] = Field(default_factory=list, exclude_if=lambda files: not files)
    """Whose texts were searched beside those of the corpus."""
