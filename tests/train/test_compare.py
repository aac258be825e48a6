"""Two evaluations of the same rows."""

import csv
import io
import json
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.train.evaluation.compare import Comparison
from asr_gate.train.evaluation.compare import compare as compare_all
from asr_gate.train.evaluation.compare_table import as_csv
from asr_gate.train.evaluation.result_file import read_result
from tests.train.results import lines, spoiled, write


def compare(a: Path, b: Path, **settings) -> Comparison:
    """The second of two results against the first."""
    (found,) = compare_all([a, b], **settings)
    return found


@pytest.fixture
def pair(tmp_path: Path):
    """Write two results."""

    def make(a: list[dict], b: list[dict]) -> tuple[Path, Path]:
        return write(tmp_path / "a.json", a, "round1"), write(tmp_path / "b.json", b, "round2")

    return make


def test_rates_are_ratios_of_sums_and_the_interval_holds_the_change(pair) -> None:
    import jiwer

    rows = lines(200)
    a, b = spoiled(rows, 0.2), spoiled(rows, 0.3, seed=2)
    found = compare(*pair(a, b))
    truth = [row["reference"].lower().strip(".") for row in rows]
    for side, wer in ((a, found.overall.wer.a), (b, found.overall.wer.b)):
        assert wer == pytest.approx(jiwer.wer(truth, [row["hypothesis"] for row in side]))
    wer = found.overall.wer
    assert wer.difference == pytest.approx(wer.b - wer.a)
    assert wer.low < wer.difference < wer.high
    assert found.overall.cer.low < found.overall.cer.difference < found.overall.cer.high
    assert [group.utterances for group in found.domains.values()] == [100, 100]
    assert found.worse == ["overall", "kan_clean", "whatsapp_noisy"]
    assert found.overall.better == pytest.approx(0, abs=0.01)


def test_an_improvement_is_not_worse(pair) -> None:
    rows = lines(100)
    found = compare(*pair(spoiled(rows, 0.4), rows))
    assert found.worse == []
    assert found.overall.wer.high < 0
    assert found.overall.better == 1.0
    assert found.outcome == "pass"


def test_the_same_on_both_sides_is_no_change(pair) -> None:
    rows = spoiled(lines(50), 0.2)
    found = compare(*pair(rows, rows))
    assert (found.overall.wer.low, found.overall.wer.high) == (0, 0)
    assert found.worse == []


def test_one_domain_that_got_worse_is_found_under_an_overall_that_got_better(pair) -> None:
    rows = lines(200)
    a = spoiled(rows, 0.5, domain="kan_clean")
    b = spoiled(rows, 0.15, domain="whatsapp_noisy")
    found = compare(*pair(a, b))
    assert found.overall.wer.high < 0
    assert found.worse == ["whatsapp_noisy"]
    assert found.verdict() == ["fail: WER rose beyond its interval: whatsapp_noisy"]


def test_the_pairing_makes_a_small_change_visible(pair) -> None:
    """Each row is a little worse: of no moment beside the spread, certain in pairs."""
    rows = lines(60)
    a = spoiled(rows, 0.5)
    b = [row | {"hypothesis": row["hypothesis"] + " oh"} for row in a]
    assert compare(*pair(a, b)).overall.wer.low > 0


def test_few_utterances_tell_nothing(pair) -> None:
    rows = lines(21, domains=("a", "a", "a", "b"))
    found = compare(*pair(rows, spoiled(rows, 1.0)))
    assert found.least == 6
    assert found.domains["b"].utterances == 5
    assert found.domains["b"].wer.low is None
    assert found.domains["b"].wer.difference == 1.0
    assert found.worse == ["overall", "a"]
    assert "too few utterances to tell (fewer than 6): b" in found.verdict()[-1]
    assert compare(*pair(rows[:1], rows[:1])).overall.wer.low is None


def test_two_that_recognise_nothing_decide_nothing(pair) -> None:
    rows = lines(40)
    silent = [row | {"hypothesis": ""} for row in rows]
    found = compare(*pair(silent, silent))
    assert (found.worse, found.outcome) == ([], "no decision")
    assert found.useless == ["overall", "kan_clean", "whatsapp_noisy"]
    assert found.as_dict()["outcome"] == "no decision"
    # Whoever babbles is still worse, and a domain alone does not hold up the others.
    assert compare(*pair(silent, [row | {"hypothesis": "oh " * 30} for row in rows])).worse
    a, b = (spoiled(rows, share, domain="kan_clean") for share in (1.0, 1.0))
    half = compare(*pair(a, b))
    assert (half.useless, half.outcome) == (["kan_clean"], "pass")


def test_every_utterance_is_in_the_table_the_worst_first(tmp_path: Path) -> None:
    rows = lines(30)
    sides = [spoiled(rows, share, seed=n) for n, share in enumerate((0.3, 0.1, 0.5))]
    found = compare_all([write(tmp_path / f"{n}.json", side) for n, side in enumerate(sides)])
    read = list(csv.DictReader(io.StringIO(as_csv(found).decode())))
    assert len(read) == 30
    changes = [max(float(row["change B"]), float(row["change C"])) for row in read]
    assert changes == sorted(changes, reverse=True)
    first = read[0]
    (row,) = (row for row in sides[2] if row["id"] == first["id"])
    assert first["hypothesis C"] == row["hypothesis"]
    assert float(first["change C"]) == pytest.approx(float(first["WER C"]) - float(first["WER A"]))
    words, errors = (sum(int(row[name]) for row in read) for name in ("words", "errors B"))
    assert errors / words == pytest.approx(found[0].overall.wer.b)


def test_false_alarms_are_as_rare_as_asked(pair) -> None:
    """Two sides of equal quality: the first is worse beyond its interval in 2.5 % of cases."""
    alarms = 0
    rows = lines(12, domains=("a",))
    for seed in range(0, 200, 2):
        a, b = (spoiled(rows, 0.3, seed=seed + side) for side in (1000, 1001))
        alarms += bool(compare(*pair(a, b)).worse)
    assert alarms <= 8


def test_several_are_compared_with_the_first(tmp_path: Path) -> None:
    rows = lines(60)
    sides = [spoiled(rows, share, seed=n) for n, share in enumerate((0.3, 0.1, 0.5))]
    paths = [write(tmp_path / f"{n}.json", side, f"r{n}") for n, side in enumerate(sides)]
    found = compare_all(paths)
    assert [(one.letter, one.a, one.b) for one in found] == [("B", "r0", "r1"), ("C", "r0", "r2")]
    assert [one.worse == [] for one in found] == [True, False]
    assert found[0].overall == compare(*paths[:2]).overall
    assert found[1].overall == compare(paths[0], paths[2]).overall
    assert "WER C" in found[1].markdown()
    write(paths[2], sides[2][1:], "r2")
    with pytest.raises(UserError, match="1 only in"):
        compare_all(paths)
    with pytest.raises(UserError, match="1 results"):
        compare_all(paths[:1])


def test_numbers_are_compared_in_one_way(pair) -> None:
    rows = [row | {"reference": f"{row['reference']} 7"} for row in lines(10)]
    a, b = ([row | {"hypothesis": f"{row['reference'][:-2]} {n}"} for row in rows]
            for n in ("7", "seven"))  # fmt: skip
    paths = pair(a, b)
    assert compare(*paths).overall.wer.difference == 0
    assert compare(*paths, numbers="as_written").overall.wer.difference > 0


def test_the_seed_and_the_confidence_decide_the_interval(pair) -> None:
    rows = lines(40)
    paths = pair(spoiled(rows, 0.2), spoiled(rows, 0.2, seed=3))
    one, again, other = (compare(*paths, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.overall.wer.low != other.overall.wer.low
    wide = compare(*paths, confidence=0.99).overall.wer
    assert wide.low < one.overall.wer.low
    assert wide.high > one.overall.wer.high
    for confidence in (0.2, 1.0, float("nan")):
        with pytest.raises(UserError, match="--confidence"):
            compare(*paths, confidence=confidence)


def test_the_languages_normaliser_scores_both(pair) -> None:
    row = lines(1)[0] | {"language": "Hebrew", "reference": "שָׁלוֹם לצה״ל"}
    left = row | {"hypothesis": 'שלום לצה"ל'}
    found = compare(*pair([left], [left | {"hypothesis": "שלום"}]))
    assert (found.overall.wer.a, found.overall.wer.b) == (0.0, 0.5)


def test_markdown_and_json_say_the_same(pair) -> None:
    rows = lines(60, domains=("a|b", "<i>c</i>"))
    found = compare(*pair(spoiled(rows, 0.1), spoiled(rows, 0.6)))
    page = found.markdown()
    table = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(table) == 1 + 3
    assert "a\\|b" in page
    assert "&lt;i&gt;c" in page
    told = json.loads(json.dumps(found.as_dict()))
    assert told["worse"] == ["overall", "<i>c</i>", "a|b"]
    assert set(told["domains"]) == {"a|b", "<i>c</i>"}
    wer = told["overall"]["wer"]
    assert f"{100 * wer['difference']:+.2f} | {100 * wer['low']:+.2f} to" in table[1]
    assert "bootstrap" in told["method"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows[:-2], r"2 only in .*a\.json: 'u0008', 'u0009'"),
        (lambda rows: [*rows, rows[0] | {"id": "new"}], r"1 only in .*b\.json: 'new'"),
        (
            lambda rows: [row | {"reference": "something else"} for row in rows],
            "10 with another reference: 'u0000', 'u0001', 'u0002', …",
        ),
        (lambda rows: [rows[0] | {"domain": "x"}, *rows[1:]], "1 with another domain: 'u0000'"),
        (lambda rows: [rows[0] | {"language": "Hebrew"}, *rows[1:]], "1 with another language"),
        (lambda rows: [rows[0] | {"seconds": 9.5}, *rows[1:]], "1 with another seconds"),
        (lambda rows: [*rows, rows[0]], "two rows have one id"),
        (lambda rows: [rows[0] | {"reference": "…"}, *rows[1:]], "reference"),
    ],
)
def test_other_rows_are_refused(pair, change, says: str) -> None:
    rows = lines(10)
    with pytest.raises(UserError, match=says) as error:
        compare(*pair(rows, change(rows)))
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


def test_a_folder_is_read_by_its_result(tmp_path: Path) -> None:
    rows = lines(8)
    for name in ("a", "b"):
        write(tmp_path / name / "result.json", rows)
    assert compare(tmp_path / "a", tmp_path / "b").overall.utterances == 8


def test_what_is_no_result_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "result.json", lines(3))
    predictions = tmp_path / "result.predictions.jsonl"
    whole, said = path.read_text(), predictions.read_text()

    def refused(says: str) -> None:
        with pytest.raises(UserError, match=says) as error:
            read_result(tmp_path)
        assert "\n" not in str(error.value)

    predictions.write_text(said.replace("green", "grim"))
    refused("was changed after result.json was written")
    predictions.unlink()
    refused("missing, although result.json needs it")
    content = json.loads(whole)
    for change in ({"schema_version": 2}, {"overall": None}, {"surprise": 1}):
        path.write_text(json.dumps(content | change))
        refused("not a result of asr eval")
    for text in ("", "[]", "\x00"):
        path.write_text(text)
        refused("not a result of asr eval")
    path.unlink()
    refused("no such result; make one with: asr eval")
    write(path, [{"id": 3}])
    refused(r"result\.predictions\.jsonl:1: not a prediction \(id:")
    write(path, [])
    with pytest.raises(UserError, match="holds no prediction"):
        compare(path, path)
