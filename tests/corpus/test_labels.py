"""Domains and splits by pattern."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.labels import LabelRule, unmatched
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus
from asr_gate.corpus.write import write_without

RULES = (
    LabelRule(audio="*/calls/loud*", domain="loud"),
    LabelRule(audio="*calls/*", domain="calls"),
    LabelRule(id="wa-*", domain="whatsapp"),
    LabelRule(manifest="*dev*", split="dev"),
    LabelRule(audio="a*", split="train"),
)


def jsonl(path: Path, *rows: dict[str, str]) -> Path:
    path.write_text("".join(json.dumps({"text": "x", **row}) + "\n" for row in rows))
    return path


def kaldi(folder: Path, **files: str) -> Path:
    folder.mkdir()
    (folder / "wav.scp").write_text("wa-1 a/1.wav\nb-2 a/calls/2.wav\n")
    (folder / "text").write_text("wa-1 one\nb-2 two\n")
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def labels(corpus: Corpus) -> list[tuple[str, str | None]]:
    return [(u.domain, u.split) for u in corpus.utterances]


def test_the_first_rule_that_matches_counts_more_than_the_row(tmp_path: Path) -> None:
    manifest = jsonl(
        tmp_path / "m.jsonl",
        {"audio_filepath": "a/calls/loud1.wav"},
        {"audio_filepath": "a/calls/1.wav", "domain": "studio", "split": "test"},
        {"audio_filepath": "b/1.wav", "id": "wa-1"},
        {"audio_filepath": "b/2.wav", "domain": "studio", "split": "test"},
    )
    expected = [("loud", "train"), ("calls", "train"), ("whatsapp", None), ("studio", "test")]
    assert labels(read_corpus([manifest], labels=RULES)) == expected
    chosen = read_corpus([manifest], labels=RULES[:2] + RULES[4:], split="test")
    assert labels(chosen) == [("studio", "test")]
    assert [u.split for u in chosen.others] == ["train", "train", None]


def test_kaldi_folders_have_domains_and_splits(tmp_path: Path) -> None:
    train = kaldi(tmp_path / "train_all", utt2domain="b-2 calls\n")
    dev, other = kaldi(tmp_path / "dev"), kaldi(tmp_path / "training")
    assert labels(read_corpus([train])) == [("default", "train"), ("calls", "train")]
    assert labels(read_corpus([other])) == [("default", None)] * 2
    corpus = read_corpus([train, dev], labels=RULES[2:4], split="train")
    assert labels(corpus) == [("whatsapp", "train"), ("calls", "train")]
    assert [(u.domain, u.split) for u in corpus.others] == [("whatsapp", "dev"), ("default", "dev")]
    with pytest.raises(UserError, match="no rows of split 'test'"):
        read_corpus([train], split="test")


def test_what_is_written_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    manifest = jsonl(
        tmp_path / "dev" / "m.jsonl", *({"audio_filepath": f"a/{n}.wav"} for n in range(3))
    )
    rules = [LabelRule(manifest="*/dev/m.jsonl", domain="d", split="dev")]
    corpus = read_corpus([manifest], labels=rules, split="dev")
    (written,) = write_without(corpus, {"a/1.wav": {}}, split="dev", labels=rules)
    assert len(written.path.read_text().splitlines()) == 2


def test_rules_that_match_nothing_are_told(tmp_path: Path) -> None:
    folder = kaldi(tmp_path / "dev")
    corpus = read_corpus([folder], labels=RULES)
    assert unmatched(RULES, corpus) == [RULES[0]]
    other = LabelRule(manifest="kaldi*", domain="d")
    assert unmatched([other, RULES[3]], corpus) == [other]


@pytest.mark.parametrize("rule", [{"domain": "d"}, {"audio": "*"}, {"audio": "*", "lang": "he"}])
def test_a_rule_has_a_pattern_and_a_label(rule: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"pattern|domain or split|Extra"):
        LabelRule.model_validate(rule)
