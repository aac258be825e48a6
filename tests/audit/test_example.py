"""The corpora that come with the project."""

from __future__ import annotations

import json

import pytest

from asr_gate.cli.project import Project, reading
from asr_gate.corpus.text.letters import spell
from asr_gate.embedded.encoding import ALPHABETS
from tests.speech import EXAMPLE

HEBREW = EXAMPLE / "he"


@pytest.mark.parametrize("name", ["proceed.jsonl", "stop.jsonl"])
def test_the_hebrew_corpus_is_whole_and_in_letters_of_its_model(name: str) -> None:
    source = reading(Project(), [str(HEBREW / name)], None, None)
    corpus = source.read()
    broken = json.loads((HEBREW / "broken.json").read_text())[name]
    assert source.bundled
    assert broken["rows"] == len(corpus.utterances) + len(corpus.skipped)
    assert {u.lang for u in corpus.utterances} == {"he"}
    assert len({u.domain for u in corpus.utterances}) == 3
    alphabet = frozenset(ALPHABETS["he"][1:-1])
    assert all(spell(u.text, alphabet, language="he").unknown == 0 for u in corpus.utterances)


def test_the_hebrew_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in (HEBREW / "audio").iterdir()) < 2_000_000
