"""The file of a sweep: W&B's format, errors with their lines, presets, and refined files."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.sweep import presets
from asr_gate.rounds.sweep.base import read_base
from asr_gate.rounds.sweep.file import load_sweep_file
from asr_gate.rounds.sweep.space import check_space, narrowed, trials
from tests.rounds.sweep.support import GRID, RANDOM

FULL = (
    RANDOM
    + """\
  epochs: {distribution: int_uniform, min: 2, max: 8}
  data.augment.noise_db: {value: [5, 30]}
early_terminate: {type: hyperband, max_iter: 9, s: 2, eta: 3}
controller: {type: cloud, hours: 3, confirm: 2, seed: 7}
name: mine
project: speech
run_cap: 5
"""
)


def accepted_by_wandb(content: dict[str, Any]) -> None:
    """Held against the schema of W&B's own package; it is older than `run_cap` (docs of W&B)."""
    from wandb.apis.public.sweeps import _validate_config_and_fill_distribution

    package = find_spec("sweeps")  # importing it takes long
    assert package is not None and package.origin is not None
    schema = json.loads((Path(package.origin).parent / "config" / "schema.json").read_text())
    schema["properties"]["run_cap"] = {"type": "integer", "exclusiveMinimum": 0}
    jsonschema.Draft7Validator(schema).validate(_validate_config_and_fill_distribution(content))


def load(text: str) -> Any:
    Path("sweep.yaml").write_text(text)
    loaded = load_sweep_file(Path("sweep.yaml"))
    check_space(loaded, list(read_base(loaded).overrides))
    return loaded


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("text", [GRID, RANDOM, FULL])
def test_the_same_file_fits_wandbs_schema(text: str) -> None:
    accepted_by_wandb(yaml.safe_load(text))
    load(text)


@pytest.mark.parametrize("name", presets.PRESETS)
@pytest.mark.parametrize("method", ["random", "bayes", "grid"])
@pytest.mark.parametrize("recipe", ["ctc-embedded", "lora"])
def test_presets_and_what_is_refined_fit_wandbs_schema(
    name: presets.Preset, method: Any, recipe: str
) -> None:
    presets.write(Path("made.yaml"), presets.preset(name, recipe, method, ["--data", "a.jsonl"]))
    loaded = load(Path("made.yaml").read_text())
    accepted_by_wandb(yaml.safe_load(Path("made.yaml").read_text()))
    assert read_base(loaded).data == ("a.jsonl",)
    assert trials(loaded.content) >= 5
    best = {key: one.extremes()[0] for key, one in loaded.content.parameters.items()}
    accepted_by_wandb(presets.refined(loaded.content, "made", best))
    presets.write(Path("again.yaml"), presets.refined(loaded.content, "made", best))
    assert load(Path("again.yaml").read_text()).content.method == "bayes"
    with pytest.raises(UserError, match="there already"):
        presets.write(Path("again.yaml"), {})


def test_a_second_sweep_is_around_the_best_trial() -> None:
    parameters = load(FULL).content.parameters
    rate = narrowed(parameters["learning_rate"], 1.0)
    assert rate.min == pytest.approx(0.7071, rel=1e-3) and rate.max == pytest.approx(
        1.414, rel=1e-3
    )
    edge = narrowed(parameters["learning_rate"], 4.0)
    assert edge.max == 4.0
    assert narrowed(parameters["warmup"], 0.0).values == [0.0, 0.1]
    assert narrowed(parameters["warmup"], 0.2).values == [0.1, 0.2, 0.3]
    epochs = narrowed(parameters["epochs"], 8)
    assert (epochs.min, epochs.max) == (7, 8)
    assert narrowed(parameters["data.augment.noise_db"], [5, 30]).value == [5, 30]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("method: random", "metod: random"), "sweep.yaml:3: metod"),
        (("method: random", "method: tpe"), "sweep.yaml:3: method"),
        (("method: random", "method: grid"), "learning_rate"),
        (("warmup:", "warmupp:"), "sweep.yaml:7: warmupp: the recipe has no such key"),
        (("values: [0.0", "valus: [0.0"), "sweep.yaml:7: parameters.warmup.valus"),
        (("min: 0.25", "min: 1e-1"), "1.0e-5"),
        (("min: 0.25", "min: 1.0e-5"), "factor"),
        (("max: 4.0", "max: 0.1"), "below"),
        (("log_uniform_values", "q_uniform"), "sweep.yaml:6"),
        (("metric:", "method: grid\nmetric:"), "sweep.yaml:4: method stands twice"),
        (("program: ctc-embedded", "program: ctc-embeded"), "sweep.yaml:1"),
        (("asr, train", "rm, -rf"), "sweep.yaml:2: command must begin"),
        (("--report", "--resume, --report"), "sweep.yaml:2: command"),
        (("eval/wer", "val/loss"), "sweep.yaml:4: metric.name"),
        (("minimize", "maximize"), "sweep.yaml:4: metric.goal"),
    ],
)
def test_an_error_is_one_line_that_names_the_place(change: tuple[str, str], said: str) -> None:
    assert change[0] in RANDOM
    with pytest.raises(UserError) as caught:
        load(RANDOM.replace(*change, 1))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "a", "[]", "{", "a: &b 1\nc: *b", "\x00", "a: " + "[" * 99])
def test_what_is_no_sweep_is_one_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        load(text)
    assert "sweep.yaml" in str(caught.value) and "\n" not in str(caught.value)
