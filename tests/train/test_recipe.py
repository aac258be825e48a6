from pathlib import Path

import pytest

from asr_gate.train import recipes
from asr_gate.train.recipes import RecipeError


@pytest.mark.parametrize("name", recipes.names())
def test_each_recipe_of_the_project_loads(name: str) -> None:
    assert recipes.load(name)[0] == name


def test_round2_trains_b_in_epochs_1_and_2_then_a() -> None:
    _, settings = recipes.load("round2")
    assert [settings.phase_of(epoch).name for epoch in range(1, 6)] == ["B", "B", "A", "A", "A"]
    rates = {
        phase.name: {group.name: group.learning_rate for group in phase.groups}
        for phase in settings.phases
    }
    assert rates == {
        "B": {"projector": 1e-4, "language_model_top": 4e-5, "head": 4e-5},
        "A": {"projector": 5e-5, "audio_top": 2e-5, "language_model_top": 2e-5, "head": 2e-5},
    }


def test_overrides_reach_any_key() -> None:
    _, settings = recipes.load(
        "round2-tiny",
        [
            "phases.0.epochs=[1]",
            "phases.1.epochs=[2,3]",
            "phases.0.groups.0.learning_rate=1e-5",
            "data.batch_seconds=12",
            "data.language=",
            "checkpoints.keep=null",
            "wandb.tags=[a,b]",
        ],
    )
    assert settings.epochs == 3
    assert settings.phases[0].groups[0].learning_rate == 1e-5
    assert settings.data.batch_seconds == 12
    assert settings.checkpoints.keep is None
    assert settings.wandb.tags == ("a", "b")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.bach_seconds=3", "data.batch_seconds"),
        ("optimizer.lr=3", "phases.N.groups.M.learning_rate"),
        ("phases.0.learning_rate=3", "phases.N.groups.M.learning_rate"),
        ("learning_rate=3e-5", "factor"),
        ("learningrate=3", "learning_rate"),
        ("epochs=1", "2 or more"),
        ("epochs=2.5", "whole number"),
        ("dropout=0.1", "adapters"),
        ("batch_size=8", "batch_seconds"),
        ("optimizer.batch_seconds=3", "data.batch_seconds"),
        ("phases.7.name=x", "no such key"),
        ("seed.x=3", "no such key"),
        ("seed", "key=value"),
        ("seed=[1", "not a value"),
        ("seed=many", "seed"),
        ("phases.0.epochs=[1,3]", "1, 3, 3, 4, 5"),
        ("phases.1.name=B", "share a name"),
        ("phases.1.groups.1.name=head", "share a name"),
        ("model.pretrained=folder", "exactly one"),
        ("data.batch_seconds=-1", "data.batch_seconds"),
        ("optimizer.warmup=.nan", "optimizer.warmup"),
    ],
)
def test_a_bad_override_is_one_line_that_names_the_key(override: str, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipes.load("round2-tiny", [override])
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("epochs", "phases"),
    [
        (2, [[1], [2]]),
        (3, [[1], [2, 3]]),
        (5, [[1, 2], [3, 4, 5]]),
        (10, [[1, 2, 3, 4], [5, 6, 7, 8, 9, 10]]),
    ],
)
def test_epochs_keep_the_shares_of_the_phases(epochs: int, phases: list[list[int]]) -> None:
    settings = recipes.load("round2-tiny", [f"epochs={epochs}"])[1]
    assert [phase.epochs for phase in settings.phases] == phases


def test_single_numbers_stand_for_what_is_in_groups() -> None:
    before = recipes.load("round2-tiny")[1]
    given = ["learning_rate=0.5", "batch_seconds=8", "warmup=0.2", "accumulate=2"]
    after = recipes.load("round2-tiny", given)[1]
    for one, other in zip(before.phases, after.phases, strict=True):
        rates = [group.learning_rate / 2 for group in one.groups]
        assert [group.learning_rate for group in other.groups] == rates
    assert (after.data.batch_seconds, after.optimizer.warmup) == (8, 0.2)
    assert after.optimizer.accumulate == 2
    assert recipes.load("lora", ["dropout=0.1"])[1].model.lora.dropout == 0.1
    origins = recipes.origins("round2-tiny", ["epochs=6", "warmup=0.2"])
    assert origins["phases"][1] == origins["optimizer.warmup"][1] == "command line"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean round2-tiny"):
        recipes.load("round2-tinny")


def test_a_recipe_file_of_ones_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((recipes.RECIPES / "round2-tiny.yaml").read_text(), encoding="utf-8")
    assert recipes.load(str(mine))[0] == "mine"
    mine.write_text("phases: [", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"mine\.yaml: not a recipe"):
        recipes.load(str(mine))
    mine.write_text("colour: red", encoding="utf-8")
    with pytest.raises(RecipeError, match="colour"):
        recipes.load(str(mine))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("wandb.group=${oc.env:HOME}", "plain values"),
        ('wandb.tags=["${oc.env:HOME}"]', "plain values"),
        ("seed=99999999999999999999", "seed"),
        ("wandb.tags=" + "[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
def test_hostile_values_are_one_line(override: str, says: str) -> None:
    with pytest.raises(recipes.RecipeError, match=says):
        recipes.load("round2-tiny", [override])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("wandb: {group: '${oc.env:HOME}'}", "plain values"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
def test_a_hostile_recipe_is_one_line(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(content)
    with pytest.raises(recipes.RecipeError, match=says):
        recipes.load(str(tmp_path / "r.yaml"), [])


def test_a_recipe_is_kept_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "s3cr3t" * 5)
    _, settings = recipes.load("round2-tiny", ["wandb.notes=hf_" + "s3cr3t" * 5])
    recipes.write(tmp_path / "kept.yaml", settings)
    assert "s3cr3t" not in (tmp_path / "kept.yaml").read_text()


def test_where_values_come_from() -> None:
    found = recipes.origins("round2-tiny", ["phases.0.epochs=[1]", "phases.1.epochs=[2]", "seed=7"])
    assert found["phases"][1] == found["seed"][1] == "command line"
    assert found["wandb.log_interval"] == (10, "recipe round2-tiny")
    assert found["optimizer.leap"][1] == "default"


def test_a_divided_model_cannot_be_watched() -> None:
    with pytest.raises(recipes.RecipeError, match=r"wandb\.watch does not work with sharding"):
        recipes.load("round2-tiny", ["wandb.watch.gradients=true", "sharding=fsdp2"])
