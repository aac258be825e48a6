"""Which defects are planted where: decided by the sample and the seed alone.

What one utterance takes follows from its own id and text, and from the few texts and words of
others that it draws. So when a row changes, few others take anything else, and what was measured of
them stays of use.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.records.controls import KINDS, Kind
from asr_gate.audit.sample.lot import lot
from asr_gate.corpus.text.letters import Transcript, Word
from asr_gate.corpus.utterance import Utterance

MIN_LETTERS = 3
"""Letters of a planted word, and of a word that is doubled, replaced or removed: shorter ones are
recognised too badly to measure anything by."""
CUT = 0.3
"""Share of the words, or of the speech, that is cut off; and of another text that overlaps."""
PHRASE = (2, 4)
"""Fewest and most words of a phrase."""
COHORT = 3
"""Other transcripts that each utterance's own is compared with."""
DRAWS = 100
"""Words drawn in search of one that fits."""
LIKE_LENGTH = 8
"""Transcripts nearest in length, among which those of others are drawn."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One defective transcript."""

    kind: Kind
    transcript: Transcript
    at: int
    """Number of the planted word, or of the gap that something was taken from; of a shortened
    recording 0 where it lacks its beginning, else the number of words."""
    words: int = 1
    """How many are planted there."""


@dataclass(frozen=True, slots=True)
class Planting:
    """What one utterance's audio is aligned with besides its own transcript."""

    cohort: tuple[Transcript, ...]
    """Transcripts of others: what a wrong text costs on this audio."""
    planted: tuple[Planted, ...]


def plan_controls(
    sample: Sequence[Utterance],
    transcripts: Mapping[str, Transcript],
    *,
    per_kind: int,
    seed: int,
) -> dict[str, Planting]:
    """Draw the controls of a sample.

    Each kind takes the same share of every domain. Transcripts of others come from the same domain
    where it has others of its own, and are like in length.

    Args:
        sample: the audited utterances.
        transcripts: of each, by id, as the model's letters.
        per_kind: defects planted of each kind, at most one an utterance.
        seed: of the draw.

    Returns:
        By utterance id; utterances whose transcript has no letters are left out.
    """
    if per_kind == 0:
        return {}
    domains: dict[str, list[str]] = {}
    for utterance in sample:
        if _known(transcripts[utterance.id]):
            domains.setdefault(utterance.domain, []).append(utterance.id)
    for members in domains.values():
        members.sort()
    everyone = [identity for members in domains.values() for identity in members]
    share = min(1.0, per_kind / max(1, len(everyone)))
    everywhere = _ByLength(transcripts[identity] for identity in everyone)
    plan: dict[str, Planting] = {}
    for domain, members in domains.items():
        own_domain = _ByLength(transcripts[identity] for identity in members)
        texts = own_domain if len(own_domain) > COHORT + 1 else everywhere
        count = max(1, round(share * len(members)))
        chosen = {
            kind: set(sorted(members, key=lambda i: (lot(seed, domain, kind, i), i))[:count])
            for kind in KINDS
        }
        vocabulary = _Vocabulary(word for i in members for word in transcripts[i].words)
        for identity in members:
            own = transcripts[identity]
            others = texts.like(own, f"{seed}:{identity}")
            planted = [
                found
                for kind in KINDS
                if identity in chosen[kind]
                and (found := _plant(kind, own, others, vocabulary, f"{seed}:{identity}"))
                is not None
            ]
            plan[identity] = Planting(tuple(others[1 : COHORT + 1]), tuple(planted))
    return plan


class _ByLength:
    """The different ones of some transcripts, to be looked up by length.

    A text that several people speak is no wrong text for any of them, and stands here once.
    """

    def __init__(self, transcripts: Iterable[Transcript]) -> None:
        different = {_letters(transcript): transcript for transcript in transcripts}
        self._sorted = sorted(different.items(), key=lambda item: (len(item[0]), item[0]))
        self._lengths = [len(letters) for letters, _ in self._sorted]

    def __len__(self) -> int:
        return len(self._sorted)

    def like(self, own: Transcript, seed: str) -> list[Transcript]:
        """Others of like length, in random order."""
        mine = _letters(own)
        at = bisect_left(self._lengths, len(mine))
        around = self._sorted[max(0, at - LIKE_LENGTH) : at + LIKE_LENGTH + 1]
        around.sort(key=lambda item: (abs(len(item[0]) - len(mine)), item[0]))
        near = [item for item in around if item[0] != mine][:LIKE_LENGTH]
        return [text for _, text in sorted(near, key=lambda item: lot(item[0], seed))]


class _Vocabulary:
    """The words of some transcripts that can be planted, to be drawn from.

    Whoever draws takes the word with the least of random numbers that follow from both (rendezvous
    hashing; Thaler & Ravishankar, 1998): each word is as likely as the next, and one word more or
    less changes only the draws that it wins.
    """

    def __init__(self, words: Iterable[Word]) -> None:
        different: dict[tuple[str | None, ...], Word] = {}
        for word in words:
            if _plantable(word):
                different.setdefault(word.letters, word)
        self._words = list(different.values())
        numbers = [lot("word", *letters) for letters in different]
        self._lots: NDArray[np.uint64] = np.array(numbers, np.uint64)

    def draw(self, fits: Callable[[Word], bool], seed: str) -> Word | None:
        """A random word that fits; None where so many draws find none."""
        left = _mixed(self._lots ^ np.uint64(lot(seed)))
        for _ in range(min(DRAWS, len(left))):
            at = int(left.argmin())
            if fits(self._words[at]):
                return self._words[at]
            left[at] = np.iinfo(np.uint64).max
        return None


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers as good as random, that follow from each by itself (the end of splitmix64)."""
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _known(transcript: Transcript) -> bool:
    return transcript.letters > transcript.unknown


def _plantable(word: Word) -> bool:
    return len(word.letters) >= MIN_LETTERS and None not in word.letters


def _letters(transcript: Transcript) -> str:
    return " ".join("".join(letter or "?" for letter in w.letters) for w in transcript.words)


def _plant(
    kind: Kind,
    own: Transcript,
    others: Sequence[Transcript],
    vocabulary: _Vocabulary,
    seed: str,
) -> Planted | None:
    """One defective transcript; None where the utterance has nothing to plant it in."""
    rng = random.Random(f"{seed}:{kind}")
    words = list(own.words)
    if kind == "swapped":
        return Planted(kind, others[0], 0) if others else None
    if kind == "cut":
        count = max(1, round(CUT * len(words)))
        if len(words) - count < 1:
            return None
        if rng.random() < 0.5:
            return Planted(kind, _with(own, words[count:]), 0)
        return Planted(kind, _with(own, words[:-count]), len(words) - count)
    if kind == "shortened":
        return Planted(kind, own, rng.choice((0, len(words)))) if len(words) > 1 else None
    if kind == "overlap":
        return _overlap(own, others[-1], rng) if others else None
    if kind == "inserted":
        mine = {word.letters for word in words}
        added = vocabulary.draw(lambda word: word.letters not in mine, f"{seed}:{kind}")
        at = rng.randrange(len(words) + 1)
        if added is None:
            return None
        return Planted(kind, _with(own, [*words[:at], added, *words[at:]]), at)
    if kind == "phrase":
        return _phrase(own, vocabulary, rng, f"{seed}:{kind}")
    places = [i for i, word in enumerate(words) if _plantable(word)]
    if kind == "exchanged":
        places = [i for i in places if i + 1 in places and _unlike(words[i], words[i + 1])]
    if not places:
        return None
    at = rng.choice(places)
    if kind == "exchanged":
        turned = [*words[:at], words[at + 1], words[at], *words[at + 2 :]]
        return Planted(kind, _with(own, turned), at, 2)
    if kind == "doubled":
        return Planted(kind, _with(own, [*words[: at + 1], words[at], *words[at + 1 :]]), at)
    if kind == "removed":
        rest = [*words[:at], *words[at + 1 :]]
        return Planted(kind, _with(own, rest), at) if _known(_with(own, rest)) else None
    unlike = vocabulary.draw(lambda word: _unlike(word, words[at]), f"{seed}:{kind}")
    if unlike is None:
        return None
    return Planted(kind, _with(own, [*words[:at], unlike, *words[at + 1 :]]), at)


def _overlap(own: Transcript, other: Transcript, rng: random.Random) -> Planted:
    """A part of another text before or after one's own, as where segments overlap."""
    count = max(1, round(CUT * len(own.words)))
    if rng.random() < 0.5:
        added = other.words[-count:]
        return Planted("overlap", _with(own, [*added, *own.words]), 0, len(added))
    added = other.words[:count]
    return Planted("overlap", _with(own, [*own.words, *added]), len(own.words), len(added))


def _phrase(
    own: Transcript, vocabulary: _Vocabulary, rng: random.Random, seed: str
) -> Planted | None:
    """Some words in a row replaced, each by one that is unlike it."""
    words = list(own.words)
    count = rng.randint(*PHRASE)
    if count > len(words):
        return None
    at = rng.randrange(len(words) - count + 1)
    for i in range(at, at + count):
        drawn = vocabulary.draw(partial(_unlike, words[i]), f"{seed}:{i}")
        if drawn is None:
            return None
        words[i] = drawn
    return Planted("phrase", _with(own, words), at, count)


def _with(transcript: Transcript, words: Sequence[Word]) -> Transcript:
    unknown = sum(letter is None for word in words for letter in word.letters)
    return replace(transcript, words=tuple(words), unknown=unknown)


def _unlike(one: Word, other: Word) -> bool:
    """Whether two words share fewer than half of the longer one's letters."""
    a, b = list(one.letters), list(other.letters)
    shared = 0
    for letter in a:
        if letter in b:
            b.remove(letter)
            shared += 1
    return shared < max(len(one.letters), len(other.letters)) / 2
