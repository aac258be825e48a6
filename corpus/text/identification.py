"""Language identification: which language a text is in, by its letters."""

from __future__ import annotations

from functools import cache

from asr_gate.corpus.text.hebrew import without_marks
from asr_gate.corpus.text.language import closest_code, same_language

LEAST_LETTERS = 20
"""Shorter texts say too little."""


def better_language(text: str, language: str) -> tuple[str, float] | None:
    """The language that fits a text best, and by how many nats better than its own.

    By the letters alone (py3langid: a naive Bayes classifier over byte n-grams, 97 languages,
    offline). Of 16,590 sentences in 80 languages, 20 letters and longer (the translations of a web
    framework), 7 % fit another language better and 0.05 % by more than 20 nats. Of sentences of 40
    letters in a related language (Portuguese for Spanish, Ukrainian for Russian) 90 to 100 % fit
    their own by more than that.

    Args:
        text: any text.
        language: code or English name of what it should be in.

    Returns:
        Code of the language that fits best; None: it is its own, or the text is too short, or the
        classifier does not know its own.
    """
    # Here, because the rules are listed where this library is not installed.
    from py3langid import classify, rank

    text = without_marks(text)
    if sum(map(str.isalpha, text)) < LEAST_LETTERS:
        return None
    own = _own(language)
    # To rank all languages takes longer, and nearly every text is in its own.
    if own is None or _same(str(classify(text)[0]), own):
        return None
    scores = dict(rank(text))
    best = max(scores, key=lambda code: (scores[code], code))
    return None if _same(best, own) else (str(best), float(scores[best] - scores[own]))


def likely_language(text: str) -> str | None:
    """Code of the language that a text is most likely in; None: it is too short to tell."""
    from py3langid import rank

    text = without_marks(text)
    if sum(map(str.isalpha, text)) < LEAST_LETTERS:
        return None
    return str(max(rank(text), key=lambda found: found[1])[0])


_same = cache(same_language)


@cache
def _own(language: str) -> str | None:
    """What the classifier calls a language."""
    return closest_code(language, _known())


@cache
def _known() -> frozenset[str]:
    from py3langid import rank

    return frozenset(code for code, _ in rank("a"))
