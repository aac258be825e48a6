from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus, SkippedRow, Utterance
from asr_gate.train import recipes
from asr_gate.train.data.languages import language_name
from asr_gate.train.data.own_sets import OwnSets
from asr_gate.train.data.rows import (
    Row,
    Selection,
    check_tokens,
    is_slow_to_read,
    refuse_unfit,
    select,
)
from asr_gate.train.plan import Refused
from tests.train.support import utterance


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
    selection = select(utterances, {"bad", "not in the corpus"}, recipes.Data())
    assert selection.excluded == ["bad"]
    assert {row.id: row.rule for row in selection.refused} == {
        "long": "too_long",
        "short": "too_short",
        "wordless": "no_words",
        "unreadable": "unreadable",
    }
    assert len(selection.training) + len(selection.evaluation) == 10
    assert "31.00 s, data.max_seconds is 30" in selection.refused[0].reason


def test_rows_with_too_many_tokens_are_listed() -> None:
    selection = select([utterance(f"u{i}") for i in range(10)], (), recipes.Data())
    last = selection.training[-1].utterance.id

    def admit(row: Row) -> Row | Refused:
        tokens = 5000 if row.utterance.id == last else 10
        return check_tokens(row.utterance.id, tokens, recipes.Data()) or replace(row, tokens=tokens)

    fitting = refuse_unfit(selection, admit, recipes.Data())
    assert [(row.id, row.rule) for row in fitting.refused] == [(last, "too_many_tokens")]
    assert len(fitting.training) == len(selection.training) - 1
    assert {row.tokens for row in [*fitting.training, *fitting.evaluation]} == {10}


@pytest.mark.parametrize(
    ("name", "offset", "slow"),
    [("a.MP3", 3600.0, True), ("a.mp3", 5.0, False), ("a.flac", 3600.0, False)],
)
def test_segments_of_long_mp3s_are_slow_to_read(name: str, offset: float, slow: bool) -> None:
    one = replace(utterance("u"), audio_name=name, offset=offset)
    assert is_slow_to_read(Row(one, 2.0, "English")) is slow


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(UserError, match="0 of 1 rows"):
        select([utterance("bad")], {"bad"}, recipes.Data())


def test_a_row_without_language_needs_one_from_the_recipe() -> None:
    pair = [utterance("a", lang=None), utterance("b", lang=None)]
    with pytest.raises(UserError, match=r"m\.jsonl:a.*data\.language"):
        select(pair, (), recipes.Data())
    selection = select(pair, (), recipes.Data(language="he"))
    assert selection.training[0].language == "Hebrew"


def test_language_names() -> None:
    names = {language_name(text) for text in ("he", "he-IL", "HE", "hebrew", "Hebrew")}
    assert names == {"Hebrew"}
    assert language_name("swahili") == "Swahili"
    with pytest.raises(UserError, match="'xx'"):
        language_name("xx")


def test_excluded_rows_may_train_and_never_evaluate() -> None:
    utterances = [utterance(f"u{i}") for i in range(40)]
    excluded = {f"u{i}" for i in range(0, 40, 3)}
    without = select(utterances, excluded, recipes.Data())
    weighted = select(utterances, excluded, recipes.Data(excluded_weight=0.3))
    assert weighted.excluded == []
    assert weighted.evaluation == without.evaluation
    assert {row.utterance.id: row.weight for row in weighted.training if row.weight != 1} == (
        dict.fromkeys(excluded, 0.3)
    )
    accepted = [row for row in weighted.training if row.utterance.id not in excluded]
    assert accepted == without.training
    with pytest.raises(UserError, match="must not be excluded"):
        select(utterances, {row.id for row in utterances}, recipes.Data(excluded_weight=1))


def of_splits(**sizes: int) -> list[Utterance]:
    """Rows `train0`, `train1`, … of each split; of the split `none` they have none."""
    return [
        utterance(f"{name}{i}", split=None if name == "none" else name)
        for name, size in sizes.items()
        for i in range(size)
    ]


def ids(found: list[Row]) -> set[str]:
    return {row.utterance.id for row in found}


def splits_of(found: list[Row]) -> set[str | None]:
    return {row.utterance.split for row in found}


def test_only_the_training_split_trains() -> None:
    utterances = of_splits(test=12, train=55, none=3, dev=6, extra=2)
    found = select(utterances, {"train3", "dev2", "test5", "none1"}, recipes.Data())
    assert splits_of(found.training) == {"train"}
    assert len(found.training) == 54
    assert ids(found.evaluation) == {f"dev{i}" for i in (0, 1, 3, 4, 5)}
    assert len(found.test) == 11 and splits_of(found.test) == {"test"}
    assert set(found.excluded) == {"train3", "dev2", "test5"}
    assert found.splits is not None
    assert found.splits.rows == {"test": 12, "train": 55, "": 3, "dev": 6, "extra": 2}
    weighted = select(utterances, {"train3", "dev2"}, recipes.Data(excluded_weight=0.5))
    assert "train3" in ids(weighted.training) and "dev2" not in ids(weighted.evaluation)


def test_rows_are_held_out_where_no_split_is_there_to_evaluate_on() -> None:
    found = select(of_splits(train=40, test=10), (), recipes.Data(evaluation_share=0.2))
    assert splits_of(found.training) == splits_of(found.evaluation) == {"train"}
    assert len(found.training) + len(found.evaluation) == 40
    assert not ids(found.training) & ids(found.evaluation)


def test_manifests_of_their_own_take_the_place_of_splits() -> None:
    own = OwnSets(
        Corpus(
            [utterance(f"v{i}") for i in range(9)], [], [SkippedRow("gone", "v:9", "elsewhere")]
        ),
        Corpus([utterance("t0"), utterance("t1", 40.0)], []),
    )
    data = recipes.Data(validation=["v"], test=["t"], evaluation_limit=4)
    found = select(of_splits(train=20, dev=6, test=12), {"v0"}, data, own)
    assert len(found.training) == 20 and splits_of(found.training) == {"train"}
    assert len(found.evaluation) == 4 and found.evaluation_of == 9
    assert ids(found.evaluation) <= {f"v{i}" for i in range(9)}
    assert ids(found.test) == {"t0"}
    assert {(row.id, row.rule) for row in found.refused} == {
        ("gone", "skipped"),
        ("t1", "too_long"),
    }
    assert found.hold_out is None and found.set_aside == []
    # Without splits nothing is held out either.
    assert len(select(of_splits(none=20), (), data, own).training) == 20


def test_rows_beside_those_that_are_held_out_do_not_train() -> None:
    spoken = [utterance(f"u{i}", speaker=f"s{i % 20}") for i in range(200)]
    excluded = {f"u{i}" for i in range(0, 200, 7)}
    data = recipes.Data(excluded_weight=0.5, evaluation_limit=8)
    found = select(spoken, excluded, data)
    speakers = [{r.utterance.speaker for r in some} for some in (found.training, found.evaluation)]
    assert not speakers[0] & speakers[1]
    assert len(found.evaluation) == 8 < found.evaluation_of
    assert not ids(found.evaluation) & excluded
    parts = [*ids(found.training), *ids(found.evaluation), *found.set_aside]
    assert sorted(parts) == sorted(one.id for one in spoken)
    assert set(found.set_aside) & excluded


def test_splits_by_other_names() -> None:
    found = select(of_splits(Training=5, VALID=3, TEST=2), (), recipes.Data())
    assert found.splits is not None
    chosen = found.splits.train, found.splits.evaluation, found.splits.test
    assert chosen == ("Training", "VALID", "TEST")
    data = recipes.Data(split="a", evaluation_split="train", test_split="b")
    found = select(of_splits(a=5, b=2, train=4, dev=1), (), data)
    assert [splits_of(x) for x in (found.training, found.evaluation, found.test)] == [
        {"a"},
        {"train"},
        {"b"},
    ]


def test_splits_that_cannot_be_told_are_refused() -> None:
    for utterances, data, said in (
        (of_splits(a=5, b=5), {}, r"a \(5 rows\), b \(5 rows\).*data\.split="),
        (of_splits(train=5), {"split": "Train"}, r"no row is of split 'Train'.*train \(5 rows\)"),
        (of_splits(none=5), {"test_split": "test"}, "has no splits"),
        (of_splits(train=5, dev=2), {"split": "train", "evaluation_split": "train"}, "three"),
        (of_splits(test=5), {}, "no split is called train"),
    ):
        with pytest.raises(UserError, match=said):
            select(utterances, (), recipes.Data(**data))


def test_the_small_corpus_is_read(manifest: Path) -> None:
    assert len(read_corpus([manifest]).utterances) == 12


def part(rows: list[Utterance], name: recipes.EvaluationPart, **data: float) -> Selection:
    return select(rows, set(), recipes.Data(evaluation_part=name, **data))


def test_held_out_rows_choose_or_confirm_by_speaker() -> None:
    rows = [utterance(f"u{n}", speaker=f"s{n % 40}") for n in range(160)]
    whole, choose, confirm = (
        part(rows, name, evaluation_share=0.5) for name in ("all", "choose", "confirm")
    )
    assert ids(whole.training) == ids(choose.training) == ids(confirm.training)
    first, second = ids(choose.evaluation), ids(confirm.evaluation)
    assert first | second == ids(whole.evaluation) and not first & second
    assert 0.5 < len(first) / len(second) < 2
    speakers = [{row.utterance.speaker for row in one.evaluation} for one in (choose, confirm)]
    assert not speakers[0] & speakers[1]
    assert second <= set(choose.set_aside)


def test_a_test_split_confirms_and_no_trial_sees_it() -> None:
    rows = [utterance(f"u{n}", split=("train", "dev", "test")[n % 3]) for n in range(60)]
    choose, confirm = (part(rows, name) for name in ("choose", "confirm"))
    assert {row.utterance.split for row in choose.evaluation} == {"dev"} and not choose.test
    assert {row.utterance.split for row in confirm.evaluation} == {"test"} and not confirm.test
