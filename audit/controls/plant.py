"""Which defects are planted where: decided by the sample and the seed alone."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from audit.controls.kinds import KINDS, Kind
from corpus.text.letters import Transcript, Word
from corpus.utterance import Utterance

MIN_LETTERS = 3
"""Letters of a planted word, and of a word that is doubled, replaced or removed: shorter ones are
heard too badly to measure anything by."""
CUT = 0.3
"""Share of the words that are cut off."""
COHORT = 3
"""Other transcripts that each utterance's own is compared with."""
LIKE_LENGTH = 8
"""Transcripts nearest in length, among which those of others are drawn."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One defective transcript."""

    kind: Kind
    transcript: Transcript
    at: int
    """Number of the planted word, or of the gap that something was taken from."""


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
    everyone = [identity for members in domains.values() for identity in members]
    share = min(1.0, per_kind / max(1, len(everyone)))
    plan: dict[str, Planting] = {}
    for domain, members in domains.items():
        # Texts spoken by several people are no wrong texts for each other.
        near = _by_length(members, transcripts)
        anywhere = _by_length(everyone, transcripts) if len(near) <= COHORT + 1 else near
        chosen = {
            kind: set(
                random.Random(f"{seed}:{domain}:{kind}").sample(
                    members, max(1, round(share * len(members)))
                )
            )
            for kind in KINDS
        }
        vocabulary = sorted(
            {w for i in members for w in transcripts[i].words if _plantable(w)},
            key=lambda word: word.letters,
        )
        for identity in members:
            rng = random.Random(f"{seed}:{identity}")
            own = transcripts[identity]
            others = _like(own, anywhere, rng)
            planted = [
                found
                for kind in KINDS
                if identity in chosen[kind]
                and (found := _plant(kind, own, others, vocabulary, rng)) is not None
            ]
            plan[identity] = Planting(tuple(others[1 : COHORT + 1]), tuple(planted))
    return plan


def _known(transcript: Transcript) -> bool:
    return transcript.letters > transcript.unknown


def _plantable(word: Word) -> bool:
    return len(word.letters) >= MIN_LETTERS and None not in word.letters


def _by_length(ids: Sequence[str], transcripts: Mapping[str, Transcript]) -> list[Transcript]:
    """The different transcripts, shortest first."""
    different = {_letters(transcripts[i]): transcripts[i] for i in ids}
    return [
        different[key] for key in sorted(different, key=lambda letters: (len(letters), letters))
    ]


def _letters(transcript: Transcript) -> str:
    return " ".join("".join(letter or "?" for letter in w.letters) for w in transcript.words)


def _like(own: Transcript, by_length: Sequence[Transcript], rng: random.Random) -> list[Transcript]:
    """Other transcripts of like length, in random order."""
    mine = _letters(own)
    lengths = sorted(by_length, key=lambda t: abs(t.letters - own.letters))
    near = [t for t in lengths[: LIKE_LENGTH + 1] if _letters(t) != mine][:LIKE_LENGTH]
    rng.shuffle(near)
    return near


def _plant(
    kind: Kind,
    own: Transcript,
    others: Sequence[Transcript],
    vocabulary: Sequence[Word],
    rng: random.Random,
) -> Planted | None:
    """One defective transcript; None where the utterance has nothing to plant it in."""
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
    if kind == "inserted":
        mine = {word.letters for word in words}
        foreign = [word for word in vocabulary if word.letters not in mine]
        if not foreign:
            return None
        at = rng.randrange(len(words) + 1)
        return Planted(kind, _with(own, [*words[:at], rng.choice(foreign), *words[at:]]), at)
    places = [i for i, word in enumerate(words) if _plantable(word)]
    if not places:
        return None
    at = rng.choice(places)
    if kind == "doubled":
        return Planted(kind, _with(own, [*words[: at + 1], words[at], *words[at + 1 :]]), at)
    if kind == "removed":
        rest = [*words[:at], *words[at + 1 :]]
        return Planted(kind, _with(own, rest), at) if _known(_with(own, rest)) else None
    unlike = [word for word in vocabulary if _unlike(word, words[at])]
    if not unlike:
        return None
    return Planted(kind, _with(own, [*words[:at], rng.choice(unlike), *words[at + 1 :]]), at)


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
