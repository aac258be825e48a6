from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipe
from asr_gate.train.data import Row, batches, hold_out, refuse_long_texts, select
from asr_gate.train.languages import language_name


def utterance(id: str, seconds: float | None = 2.0, text: str = "red", lang: str | None = "en"):
    return Utterance(
        id=id,
        text=text,
        audio=Path("missing.wav"),
        audio_name="missing.wav",
        origin=f"m.jsonl:{id}",
        duration=seconds,
        lang=lang,
    )


def rows(count: int) -> list[Row]:
    return [Row(utterance(f"u{i}"), 1.0 + i % 7, "English") for i in range(count)]


def test_every_row_ends_in_exactly_one_list() -> None:
    utterances = [
        utterance("long", 31.0),
        utterance("short", 0.01),
        utterance("wordless", text=" …"),
        utterance("unreadable", None),
        utterance("bad"),
        *(utterance(f"u{i}") for i in range(10)),
    ]
    selection = select(utterances, {"bad", "not in the corpus"}, recipe.Data())
    assert selection.dropped == ["bad"]
    assert {row.id: row.rule for row in selection.refused} == {
        "long": "too_long",
        "short": "too_short",
        "wordless": "no_words",
        "unreadable": "unreadable",
    }
    assert len(selection.training) + len(selection.evaluation) == 10
    assert "31.00 s, data.max_seconds is 30" in selection.refused[0].reason


def test_rows_with_too_many_tokens_are_listed() -> None:
    selection = select([utterance(f"u{i}") for i in range(10)], (), recipe.Data())
    last = selection.training[-1].utterance.id
    fitting = refuse_long_texts(
        selection, lambda row: 5000 if row.utterance.id == last else 10, recipe.Data()
    )
    assert [(row.id, row.rule) for row in fitting.refused] == [(last, "too_many_tokens")]
    assert len(fitting.training) == len(selection.training) - 1


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(UserError, match="0 of 1 rows"):
        select([utterance("bad")], {"bad"}, recipe.Data())


def test_a_row_without_language_needs_one_from_the_recipe() -> None:
    pair = [utterance("a", lang=None), utterance("b", lang=None)]
    with pytest.raises(UserError, match=r"m\.jsonl:a.*data\.language"):
        select(pair, (), recipe.Data())
    selection = select(pair, (), recipe.Data(language="he"))
    assert selection.training[0].language == "Hebrew"


def test_language_names() -> None:
    names = {language_name(text) for text in ("he", "he-IL", "HE", "hebrew", "Hebrew")}
    assert names == {"Hebrew"}
    assert language_name("swahili") == "Swahili"
    with pytest.raises(UserError, match="'xx'"):
        language_name("xx")


def test_the_held_out_rows_stay_when_others_come_and_go() -> None:
    held = hold_out(rows(400), 0.1, 500)
    assert 20 <= len(held) <= 60
    assert hold_out(rows(200), 0.1, 500) == {f"u{i}" for i in range(200)} & held
    assert len(hold_out(rows(400), 0.1, 5)) == 5
    assert len(hold_out(rows(3), 0.0001, 5)) == 1


def test_condemned_rows_may_train_and_never_evaluate() -> None:
    utterances = [utterance(f"u{i}") for i in range(40)]
    condemned = {f"u{i}" for i in range(0, 40, 3)}
    without = select(utterances, condemned, recipe.Data())
    weighted = select(utterances, condemned, recipe.Data(condemned_weight=0.3))
    assert weighted.dropped == []
    assert weighted.evaluation == without.evaluation
    assert {row.utterance.id: row.weight for row in weighted.training if row.weight != 1} == (
        dict.fromkeys(condemned, 0.3)
    )
    sound = [row for row in weighted.training if row.utterance.id not in condemned]
    assert sound == without.training
    with pytest.raises(UserError, match="one of them not condemned, to evaluate on"):
        select(utterances, {row.id for row in utterances}, recipe.Data(condemned_weight=1))


def test_batches_hold_every_row_once_within_their_seconds() -> None:
    some = rows(100)
    made = batches(some, 20.0, seed=1, epoch=1)
    assert sorted(index for batch in made for index in batch) == list(range(100))
    for batch in made:
        lengths = [some[index].seconds for index in batch]
        assert max(lengths) * len(lengths) <= 20
        assert max(lengths) - min(lengths) <= 1
    assert len(made) < 30


def test_batches_are_decided_by_seed_and_epoch() -> None:
    some = rows(50)
    assert batches(some, 20.0, seed=1, epoch=1) == batches(some, 20.0, seed=1, epoch=1)
    assert batches(some, 20.0, seed=1, epoch=1) != batches(some, 20.0, seed=1, epoch=2)
    assert batches(some, 20.0, seed=1, epoch=1) != batches(some, 20.0, seed=2, epoch=1)


def test_a_row_longer_than_a_batch_is_a_batch_of_one() -> None:
    assert sorted(batches(rows(3), 0.5, seed=1, epoch=1)) == [[0], [1], [2]]


def test_the_small_corpus_is_read(manifest: Path) -> None:
    assert len(read_corpus([manifest]).utterances) == 12
