"""What the recipe knows of a language. Each language is one file of `languages`."""

import importlib
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sentence:
    """A sentence as the synthesizer reads it and as the model shall write it."""

    raw: str
    """Words parted by single spaces, with punctuation: text that espeak-ng reads, or IPA."""
    text: str
    """The model's letters and spaces only; the same number of words as `raw`."""
    source: str


@dataclass(frozen=True)
class Source:
    """Where texts come from."""

    package: str
    license: str
    read: Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Language:
    """A language's texts, letters, sounds and voices."""

    code: str
    """ISO 639."""
    tokens: tuple[str, ...]
    """The blank, letters, and the space as the last one: as many as the network writes."""
    sources: Mapping[str, Source]
    sentences: Callable[[random.Random], list[Sentence]]
    """All of them, shuffled, each text once; the same for the same generator."""
    normalise: Callable[[str], str]
    """A transcript in the model's letters."""
    shares: Mapping[str, float]
    """Shares of the utterances by synthesizer, `engine` or `engine:voice`; more where one has more
    voices or a more natural one."""
    held_out: str
    """A synthesizer that is never trained on: shows how far the model carries to a voice that it
    does not know."""
    accents: tuple[str, ...]
    """espeak-ng's voices, the more often the likelier."""
    packages: tuple[str, ...]
    """Debian packages that have to be installed."""
    distributions: tuple[str, ...] = ()
    """Python packages that have to be installed."""
    archives: tuple[str, ...] = ()
    """Packages that lie in `build` and are read as they are; globs of their files' names."""
    phones: Mapping[str, str] = field(default_factory=dict)
    """The network's phone for a phoneme in IPA, where it is another than in English. What only this
    language has takes the place of what only English has."""
    kokoro_accent: Callable[[str, random.Random], str] = lambda voice, rng: ""
    """espeak-ng's voice that gives Kokoro the phonemes of a text."""
    kokoro_symbols: Mapping[str, str] = field(default_factory=dict)
    """What Kokoro writes otherwise than in IPA."""
    kokoro_native: str = ""
    """First letters of the names of Kokoro's voices for this language; none: all are as good."""
    mnemonics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where sentences are IPA: all their symbols, and espeak-ng's names of each, one of which is
    drawn for an utterance."""

    def symbols(self, word: str) -> list[str]:
        """The symbols of a word in IPA; what is unknown is left out."""
        longest_first = sorted(self.mnemonics, key=len, reverse=True)
        return re.findall("|".join(map(re.escape, longest_first)), word)


def find(code: str) -> Language:
    """The language of `languages/CODE.py`.

    Raises:
        ModuleNotFoundError: there is no such file.
    """
    found: Language = importlib.import_module(f"recipes.embedded.languages.{code}").LANGUAGE
    return found
