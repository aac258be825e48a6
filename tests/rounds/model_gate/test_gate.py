"""Which model may take another one's place."""

import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from asr_gate.audit.gate import NoVerdict
from asr_gate.corpus.errors import UserError
from asr_gate.rounds.model_gate import result as results
from asr_gate.rounds.model_gate.formats import write_gate
from asr_gate.rounds.model_gate.result import read_gate
from asr_gate.rounds.model_gate.run import Gated, gate_model
from asr_gate.rounds.model_gate.suite import load_suite
from tests.rounds.models import Evaluator, write_model, write_rows
from tests.train.results import lines

SCHEMA = Path(__file__).parents[2] / "audit" / "report" / "sarif-schema-2.1.0.json"
SUITE = """
[data]
manifests = ["test.jsonl"]
[domains.kan_clean]
wer = 0.4
[[regression]]
name = "names"
manifests = ["regression/names.jsonl"]
wer = 0.5
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")  # no digest of a file that a test changes comes from a cache
    write_rows(Path("test.jsonl"), lines(120))
    write_rows(Path("regression/names.jsonl"), lines(8, domains=("names",), seed=5))
    Path("suite.toml").write_text(SUITE)
    write_model(Path("runs/old"), 0.30)
    write_model(Path("runs/new"), 0.10, seed=2)
    return tmp_path


def gate(candidate: object, against: object, evaluate: Evaluator | None = None) -> Gated:
    return gate_model(
        str(candidate), str(against), load_suite(Path("suite.toml")), evaluate or Evaluator()
    )


def failed(gated: Gated) -> dict[str, str]:
    return {f"{one.group} {one.name}": one.outcome for one in gated.result.failed}


def test_a_better_model_passes_and_the_gain_has_an_interval(here: Path) -> None:
    gated = gate("runs/new", "runs/old")
    assert (gated.result.outcome, failed(gated)) == ("pass", {})
    (gain,) = (one for one in gated.result.checks if one.group == "gain")
    assert gain.value == pytest.approx(2 / 3, abs=0.15)
    assert gain.limit == 0.05
    assert "95 %" in gain.says
    assert gated.result.pass_rate == 1


@pytest.mark.parametrize(
    ("share", "change", "asked", "outcomes"),
    [
        (0.3, {}, "", {"gain overall": "no decision"}),  # as good by chance
        (0.7, {}, "", {"gain overall": "fail", "worse overall": "fail",
                       "worse kan_clean": "fail", "worse whatsapp_noisy": "fail",
                       "limit kan_clean wer": "fail", "regression names": "fail"}),
        (0.1, {}, "[limits]\nwer = 0.05\ncer = 0.05\n",
         {"limit overall wer": "fail", "limit overall cer": "fail"}),
        (0.1, {"hypothesis": ""}, "", {"limit overall empty": "fail"}),
        (0.1, {}, "[gain]\nwer = 0.9\n", {"gain overall": "fail"}),
    ],
)  # fmt: skip
def test_what_holds_a_model_back(
    here: Path, share: float, change: dict, asked: str, outcomes: dict
) -> None:
    Path("suite.toml").write_text(asked + SUITE)
    write_model(Path("runs/new"), share, seed=2)
    evaluate = Evaluator(
        lambda rows: [
            row | change if number < 2 and len(rows) > 8 else row for number, row in enumerate(rows)
        ]
    )
    gated = gate("runs/new", "runs/old", evaluate)
    assert failed(gated) == outcomes
    assert gated.result.outcome == ("fail" if "fail" in outcomes.values() else "no decision")


def test_a_domain_that_got_worse_is_no_matter_of_the_whole(here: Path) -> None:
    write_rows(Path("test.jsonl"), lines(200, domains=("a", "a", "a", "b")))
    Path("suite.toml").write_text('[data]\nmanifests = ["test.jsonl"]\n')
    write_model(Path("runs/new"), 0.9, seed=2, domain="b")
    write_model(Path("runs/old"), 0.9, domain="a")
    assert failed(gate("runs/new", "runs/old")) == {"worse b": "fail"}


def test_two_models_that_recognise_nothing_decide_nothing(here: Path) -> None:
    for name in ("old", "new"):
        write_model(Path("runs") / name, 1.0, seed=len(name))
    Path("suite.toml").write_text('[data]\nmanifests = ["test.jsonl"]\n[gain]\nwer = 0\n')
    gated = gate("runs/new", "runs/old")
    assert failed(gated) == {"usable overall": "no decision"}
    assert gated.result.outcome == "no decision"


def test_few_rows_give_no_interval_and_so_no_decision(here: Path) -> None:
    write_rows(Path("test.jsonl"), lines(5))
    Path("suite.toml").write_text('[data]\nmanifests = ["test.jsonl"]\n')
    gated = gate("runs/new", "runs/old")
    assert failed(gated) == {"gain overall": "no decision"}
    assert {one.outcome for one in gated.result.checks if one.group == "worse"} == {"skipped"}


def test_what_an_earlier_gate_evaluated_is_taken_from_there(here: Path) -> None:
    first, second = Evaluator(), Evaluator()
    assert gate("runs/new", "runs/old", first).result.outcome == "pass"
    assert first.calls == ["runs/old", "runs/new", "runs/new"]
    write_model(Path("runs/newer"), 0.05, seed=3)
    gate("runs/newer", "runs/new", second)
    assert second.calls == ["runs/newer", "runs/newer"]
    write_model(Path("runs/new"), 0.11, seed=2)  # another model of the same name
    gate("runs/newer", "runs/new", second)
    assert second.calls[2:] == ["runs/new"]


def test_results_take_the_place_of_checkpoints(here: Path) -> None:
    evaluate = Evaluator()
    old, new = (evaluate(f"runs/{name}", ["test.jsonl"], out=Path(name))[1] for name in
                ("old", "new"))  # fmt: skip
    again = Evaluator()
    gated = gate(new, old.parent, again)
    assert gated.result.outcome == "pass"
    assert again.calls == ["runs/new"]  # on the regression set
    write_model(Path("runs/new"), 0.0)
    with pytest.raises(NoVerdict, match="is not the model any more"):
        gate(new, old)


def test_a_test_set_that_changed_is_seen(here: Path) -> None:
    gated = gate("runs/new", "runs/old")
    old = Path(gated.result.baseline.result)
    pinned = SUITE.replace(
        '["test.jsonl"]', f'["test.jsonl"]\nfingerprint = "{gated.result.data.fingerprint}"'
    )
    Path("suite.toml").write_text(pinned)
    digest = load_suite(Path("suite.toml")).digest
    assert digest != gated.result.suite_digest
    assert gate("runs/new", "runs/old").result.outcome == "pass"
    write_rows(Path("test.jsonl"), lines(119))
    with pytest.raises(NoVerdict, match=r"suite\.toml:\d+: data\.fingerprint"):
        gate("runs/new", "runs/old")
    Path("suite.toml").write_text(SUITE + "# a comment says nothing\n")
    assert load_suite(Path("suite.toml")).digest == gated.result.suite_digest
    with pytest.raises(NoVerdict, match="other rows"):
        gate("runs/new", old)


def test_all_files_say_the_same(here: Path) -> None:
    write_model(Path("runs/new"), 0.9, seed=2, domain="names")
    gated = gate("runs/new", "runs/old")
    assert failed(gated) == {"regression names": "fail"}
    files = write_gate(gated, Path("gates/one"))
    assert sorted(path.name for path in files) == [
        "gate.json", "gate.md", "gate.sarif", "junit.xml",
    ]  # fmt: skip
    dumped = read_gate(Path("gates/one")).model_dump(mode="json")
    assert dumped == gated.result.model_dump(mode="json")
    suite = ElementTree.parse("gates/one/junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "0")
    sarif = json.loads(Path("gates/one/gate.sarif").read_text())
    first, *rows = sarif["runs"][0]["results"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "suite.toml"
    assert len(rows) == len(gated.result.regression[0].wrong) > 0
    place = rows[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "regression/names.jsonl"
    assert place["region"]["startLine"] >= 1
    jsonschema.Draft4Validator(json.loads(SCHEMA.read_text())).validate(sarif)
    assert "| regression | names | fail |" in Path("gates/one/gate.md").read_text()


def test_what_was_altered_is_no_result(here: Path) -> None:
    path = write_gate(gate("runs/new", "runs/old"), Path("gate"))[-1]
    whole = json.loads(path.read_text())
    for change in (
        {"outcome": "fail"},
        {"candidate": whole["candidate"] | {"sha256": "sha256:0"}},
        {"checks": whole["checks"][:-1]},
        {"schema_version": 2},
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(NoVerdict) as error:
            read_gate(path)
        assert error.value.exit_code == 30
    # Sealed again, but what it says does not follow from its checks.
    forged = results.GateResult.model_validate(whole | {"checks": []}).sealed()
    path.write_text(forged.model_dump_json())
    with pytest.raises(NoVerdict, match="altered"):
        read_gate(path)
    for content in ("", "[]", "{"):
        path.write_text(content)
        with pytest.raises(NoVerdict):
            read_gate(path)
    with pytest.raises(NoVerdict, match="asr model gate"):
        read_gate(Path("none"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "data is missing"),
        ("[data", "not TOML"),
        ("[data]\nmanifests = []\n", "data.manifests"),
        (
            "[data]\nmanifest = ['m']\n",
            r"suite.toml:2: .*; the nearest is data.manifests",
        ),
        (SUITE + "[gain]\nwer = 5\n", "gain.wer"),
        (SUITE + "[domains.phone]\nwer = 0.5\n", r"toml:\d+: domains.phone: the data has no such"),
        ("[data]\nmanifests = ['gone.jsonl']\n", "suite.toml:2: gone.jsonl: "),
        (SUITE + "[[regression]]\nname = 'names'\nmanifests = ['x']\n", "two regression sets"),
        (SUITE + "[limits]\nempty = nan\n", "limits.empty"),
    ],
)
def test_a_suite_that_says_nothing_is_one_line(here: Path, content: str, says: str) -> None:
    Path("suite.toml").write_text(content)
    with pytest.raises(UserError, match=says) as error:
        gate("runs/new", "runs/old")
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
