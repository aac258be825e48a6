import math

import pytest

from asr_gate.train.data.normalise import normalise
from asr_gate.train.evaluation.scoring import Errors, count_errors, error_types, perplexity, score


def test_normalise_keeps_words_and_drops_punctuation() -> None:
    assert normalise("Don’t  STOP—now, 'quoted'!") == "don't stop now quoted"
    assert normalise("שָׁלוֹם, עולם.") == "שָׁלוֹם עולם"
    assert normalise("… —") == ""
    assert normalise("Crème BRÛLÉE", "fr") == "crème brûlée"


@pytest.mark.parametrize(
    ("language", "written", "normal"),
    [
        ("Hebrew", "שָׁלוֹם, עולם.", "שלום עולם"),
        ("he-IL", "\ufb2aלום", "שלום"),  # a letter with its point, as one character
        ("he", 'צה"ל וצה״ל', "צהל וצהל"),
        ("he", "ג׳ירפה ג'ירפה", "ג'ירפה ג'ירפה"),
        ("he", 'אמר: "שלום"', "אמר שלום"),
        ("he", "בית־ספר", "בית ספר"),
        ("Arabic", "مُحَمَّد أحـــمد", "محمد أحمد"),
        ("tr", "IŞIK İzmir", "ışık izmir"),
        ("en", "I", "i"),
        ("Chinese", "我用iPhone 15。", "我 用 iphone 15"),
        ("zh-Hant", "你好", "你 好"),
        ("yue", "你好", "你 好"),
        ("Japanese", "コーヒーを飲む", "コ ー ヒ ー を 飲 む"),
        ("Thai", "ที่นี่", "ที่ นี่"),
        ("Korean", "안녕 하세요", "안녕 하세요"),
        ("en", "你好", "你好"),
        ("Klingon", "Qapla'!", "qapla"),
    ],
)
def test_normalise_knows_the_language(language: str, written: str, normal: str) -> None:
    assert normalise(written, language) == normal


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("English", "I paid $5 for 21 of them", "i paid five dollars for twenty-one of them"),
        ("he", "יש לי 7 חתולים", "יש לי שבעה חתולים"),
        ("Japanese", "15人", "十五人"),
    ],
)
def test_numbers_may_be_compared_as_they_are_said(language: str, one: str, other: str) -> None:
    for pair in ((one, other), (other, one)):
        assert count_errors(*pair, language, "spoken").word_errors == 0
        assert count_errors(*pair, language, "as_written").word_errors > 0
    assert normalise("7", None, "spoken") == "7"
    assert normalise("7 jup", "Klingon", "spoken") == "7 jup"


def test_errors_are_counted_by_kind() -> None:
    assert count_errors("a b c d e f", "x b d e f g") == Errors(
        words=6, substitutions=1, deletions=1, insertions=1, characters=11, character_errors=5
    )


def test_an_unspaced_language_is_counted_by_letters() -> None:
    errors = count_errors("你好世界", "你 好 世", "zh")
    assert (errors.words, errors.word_errors) == (4, 1)
    assert (errors.characters, errors.character_errors) == (4, 1)


def test_empty_hypotheses_count_as_deletions() -> None:
    scores = score([count_errors("one two three", ""), count_errors("four", "four")])
    assert scores.wer == pytest.approx(3 / 4)
    assert scores.utterances == 2
    assert scores.words == 4
    alone = score([count_errors("one two", "")])
    assert alone.wer == alone.cer == 1.0


def test_insertions_can_be_more_than_the_words() -> None:
    assert score([count_errors("one", "one two three")]).wer == 2.0


def test_case_and_punctuation_are_no_errors() -> None:
    assert count_errors("Hello, world.", "hello world").word_errors == 0


def test_the_sums_are_jiwers_own() -> None:
    import jiwer

    pairs = [("red green blue", "red blue"), ("a bc", "a b c"), ("x", "y z"), ("white", "")]
    truth, heard = [list(one) for one in zip(*pairs, strict=True)]
    scores = score([count_errors(*pair) for pair in pairs])
    assert scores.wer == pytest.approx(jiwer.wer(truth, heard))
    assert scores.cer == pytest.approx(jiwer.cer(truth, heard))


def test_the_kinds_of_errors_add_up_to_the_wer() -> None:
    counted = [count_errors("a b c d", "a x c d e f"), count_errors("g", "")]
    types = error_types(counted)
    assert types == {"substitutions": 1 / 5, "deletions": 1 / 5, "insertions": 2 / 5}
    assert sum(types.values()) == pytest.approx(score(counted).wer)
    assert error_types([]) == {}


@pytest.mark.parametrize(("loss", "value"), [(0.0, 1.0), (1.0, math.e), (1e4, math.inf)])
def test_perplexity(loss: float, value: float) -> None:
    assert perplexity(loss) == value
    assert math.isnan(perplexity(math.nan))
