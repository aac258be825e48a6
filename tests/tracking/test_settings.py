from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking import TrackerSettings, TrackingError
from asr_gate.tracking.settings import Alerts, Watch


@pytest.mark.parametrize(
    ("field", "variable", "from_environment", "explicit"),
    [
        ("project", "WANDB_PROJECT", "env-project", "mine"),
        ("entity", "WANDB_ENTITY", "env-team", "mine"),
        ("run_name", "WANDB_RUN_NAME", "env-run", "mine"),
        ("run_name", "WANDB_NAME", "env-run", "mine"),
        ("group", "WANDB_RUN_GROUP", "env-group", "mine"),
        ("job_type", "WANDB_JOB_TYPE", "env-job", "mine"),
        ("notes", "WANDB_NOTES", "env-notes", "mine"),
        ("mode", "WANDB_MODE", "offline", "online"),
        ("base_url", "WANDB_BASE_URL", "http://env.example", "http://mine.example:8080"),
    ],
)
def test_explicit_beats_environment_beats_default(
    field: str, variable: str, from_environment: str, explicit: str
) -> None:
    defaults = TrackerSettings()
    environment = {variable: from_environment}

    def resolved(env: dict[str, str], **given: Any) -> object:
        return getattr(TrackerSettings.resolve(defaults, environment=env, **given), field)

    assert resolved({}) == getattr(defaults, field)
    assert resolved(environment) == from_environment
    assert resolved(environment, **{field: explicit}) == explicit
    assert resolved({variable: " "}) == getattr(defaults, field)


def test_environment_beats_the_defaults_that_a_command_gives() -> None:
    defaults = TrackerSettings(run_name="phase0-audit", job_type="data_quality")
    plain = TrackerSettings.resolve(defaults, environment={})
    renamed = TrackerSettings.resolve(defaults, environment={"WANDB_RUN_NAME": "friday"})
    assert (plain.run_name, plain.job_type) == ("phase0-audit", "data_quality")
    assert (renamed.run_name, renamed.job_type) == ("friday", "data_quality")


@pytest.mark.parametrize(
    ("environment", "given", "enabled"),
    [
        ({}, {}, False),
        ({"WANDB_PHASE0_LOGGING": "true"}, {}, True),
        ({"WANDB_PHASE0_LOGGING": "true"}, {"enabled": False}, False),
        ({"WANDB_PHASE0_LOGGING": "0"}, {"enabled": True}, True),
        ({"WANDB_PHASE0_LOGGING": ""}, {}, False),
    ],
)
def test_enabled(environment: dict[str, str], given: dict[str, bool], enabled: bool) -> None:
    assert TrackerSettings.resolve(environment=environment, **given).enabled is enabled


def test_nothing_is_a_value_too() -> None:
    environment = {"WANDB_ENTITY": "team", "WANDB_RUN_NAME": "friday"}
    settings = TrackerSettings.resolve(environment=environment, entity=None, run_name=7)
    assert (settings.entity, settings.sources["entity"]) == (None, "command line")
    assert settings.run_name == "7"


@pytest.mark.parametrize(
    ("environment", "given", "mode"),
    [
        ({}, {}, "online"),
        ({"WANDB_MODE": "dryrun"}, {}, "offline"),
        ({"WANDB_MODE": "run"}, {}, "online"),
        ({"WANDB_MODE": "disabled"}, {}, "disabled"),
        ({"WANDB_MODE": "disabled"}, {"mode": "offline"}, "offline"),
        ({"WANDB_DISABLED": "true"}, {"mode": "online"}, "disabled"),
        ({"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, {}, "disabled"),
        ({"WANDB_DISABLED": "false"}, {}, "online"),
    ],
)
def test_mode(environment: dict[str, str], given: dict[str, str], mode: str) -> None:
    assert TrackerSettings.resolve(environment=environment, **given).mode == mode


def test_tags_and_folder() -> None:
    environment = {"WANDB_TAGS": "a, b,,", "WANDB_DIR": "runs"}
    settings = TrackerSettings.resolve(environment=environment)
    assert settings.tags == ("a", "b")
    assert settings.folder == Path("runs")
    assert TrackerSettings.resolve(environment=environment, tags=["c"]).tags == ("c",)
    assert settings.as_config()["folder"] == "runs"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"WANDB_MODE": "foo"}, "WANDB_MODE=foo"),
        ({"WANDB_DISABLED": "perhaps"}, "WANDB_DISABLED=perhaps"),
        ({"WANDB_PHASE0_LOGGING": "perhaps"}, "WANDB_PHASE0_LOGGING=perhaps"),
        ({"WANDB_PROJECT": "a/b"}, "'a/b'"),
        ({"WANDB_PROJECT": "p" * 129}, "129 characters"),
        ({"WANDB_ENTITY": "a b?"}, "'?'"),
        ({"WANDB_TAGS": "t" * 65}, "65 characters"),
        ({"WANDB_BASE_URL": "localhost:8080"}, "localhost:8080"),
        ({"WANDB_BASE_URL": "http://host:port"}, "http://host:port"),
        ({"WANDB_BASE_URL": "http://me:secret@host"}, "WANDB_API_KEY"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(environment: dict[str, str], named: str) -> None:
    with pytest.raises(TrackingError) as caught:
        TrackerSettings.resolve(environment=environment)
    message = str(caught.value)
    assert named in message
    assert "\n" not in message
    assert "me:secret" not in message
    assert caught.value.exit_code == 2


def test_a_bad_variable_is_named_even_where_it_is_overridden() -> None:
    # The client reads it too, and fails on it with many lines.
    with pytest.raises(TrackingError, match="WANDB_MODE=foo"):
        TrackerSettings.resolve(environment={"WANDB_MODE": "foo"}, mode="offline")
    with pytest.raises(TrackingError, match="mode=foo"):
        TrackerSettings.resolve(environment={}, mode="foo")


@pytest.mark.parametrize("text", ["1", "25", " 7 "])
def test_the_interval_is_taken_from_the_environment(text: str) -> None:
    environment = {"WANDB_LOG_INTERVAL": text}
    settings = TrackerSettings.resolve(environment=environment)
    assert settings.log_interval == int(text)
    assert settings.sources["log_interval"] == "WANDB_LOG_INTERVAL"
    assert TrackerSettings.resolve(environment=environment, log_interval=3).log_interval == 3


@pytest.mark.parametrize("text", ["0", "-5", "2.5", "many", "9" * 5000])
def test_an_interval_that_is_none_is_named_whatever_overrides_it(text: str) -> None:
    for given in ({}, {"log_interval": 3}):
        with pytest.raises(TrackingError, match="WANDB_LOG_INTERVAL") as caught:
            TrackerSettings.resolve(environment={"WANDB_LOG_INTERVAL": text}, **given)
        assert "\n" not in str(caught.value)


ENVIRONMENT = {"WANDB_PROJECT": "env", "WANDB_ENTITY": "team", "WANDB_TAGS": "x,y"}


def test_what_the_command_line_set_in_a_recipe_beats_the_environment() -> None:
    recipe = TrackerSettings(project="mine", tags=("a",), entity="recipes")
    settings = TrackerSettings.resolve(
        recipe, origin="recipe", fixed={"project", "tags"}, environment=ENVIRONMENT
    )
    assert (settings.project, settings.tags, settings.entity) == ("mine", ("a",), "team")
    with pytest.raises(TrackingError, match="a/b"):  # the client would read it, too
        TrackerSettings.resolve(recipe, fixed={"project"}, environment={"WANDB_PROJECT": "a/b"})


def test_sources_name_a_flag_a_variable_a_recipe_or_the_default() -> None:
    recipe = TrackerSettings(project="mine", tags=("a",), keep=5, watch=Watch(gradients=True))
    settings = TrackerSettings.resolve(
        recipe,
        origin="recipe",
        fixed={"tags"},
        environment=ENVIRONMENT | {"WANDB_MODE": "offline", "WANDB_DISABLED": "1"},
        run_name="first",
    )
    sources = settings.sources
    assert sources.keys() == TrackerSettings.model_fields.keys()
    assert {name: source for name, source in sources.items() if source != "default"} == {
        "project": "WANDB_PROJECT",
        "entity": "WANDB_ENTITY",
        "tags": "command line",
        "keep": "recipe",
        "watch": "recipe",
        "run_name": "command line",
        "mode": "WANDB_DISABLED",
    }
    assert set(TrackerSettings().sources.values()) == {"default"}


@pytest.mark.parametrize("tags", ["a, b,,", ["a", " b", ""], ("a", "b")])
def test_tags_as_a_text_or_a_list(tags: Any) -> None:
    assert TrackerSettings(tags=tags).tags == ("a", "b")
    assert TrackerSettings.resolve(environment={}, tags=tags).tags == ("a", "b")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tags": 5}, "wandb.tags"),
        ({"tags": [[]]}, "wandb.tags.0"),
        ({"watch": {"every": 0}}, "wandb.watch.every"),
        (
            {"watch": {"gradient": True}},
            "wandb.watch.gradient: there is no such setting; there are g",
        ),
        ({"alerts": {"loss_spike": 1}}, "wandb.alerts.loss_spike"),
        ({"alerts": {"best_wer": float("nan")}}, "wandb.alerts.best_wer"),
        ({"alerts": 3}, "wandb.alerts"),
        ({"keep": 0}, "wandb.keep"),
        ({"log_model": "all"}, "wandb.log_model"),
        ({"colour": "red"}, "wandb.colour: there is no such setting; there are enabled,"),
    ],
)
def test_what_does_not_fit_is_named_by_its_key(given: dict[str, Any], named: str) -> None:
    with pytest.raises(TrackingError) as caught:
        TrackerSettings.resolve(environment={}, **given)
    assert str(caught.value).startswith(named)
    assert "\n" not in str(caught.value)


BLOCK = """
project: speech
tags: [a, b]
watch: {gradients: true, every: 10}
alerts: {loss_spike: null, best_wer: 0.01}
"""


@pytest.mark.parametrize("nested", [True, False])
def test_settings_from_yaml(nested: bool, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    indented = "".join(f"  {line}\n" for line in BLOCK.strip().splitlines())
    path.write_text(f"seed: 7\nwandb:\n{indented}" if nested else BLOCK)
    settings = TrackerSettings.from_yaml(path)
    assert (settings.project, settings.tags) == ("speech", ("a", "b"))
    assert settings.watch == Watch(gradients=True, every=10)
    assert settings.alerts == Alerts(loss_spike=None, best_wer=0.01)
    again = TrackerSettings.resolve(settings, environment={}, enabled=True)
    assert again.watch == settings.watch


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("wandb: {colour: red}", "wandb.colour: there is no such setting"),
        ("wandb: {watch: {every: often}}", "wandb.watch.every: "),
        ("seed: 7", "wandb.seed: there is no such setting"),
        ("wandb: 5", "holds no block `wandb`"),
        ("- a", "holds no block `wandb`"),
        ("", "holds no block `wandb`"),
        ("wandb: {a", "no settings can be read"),
        ("wandb: {notes: 2026-13-01}", "no settings can be read"),
        ("wandb: !!python/object/apply:os.getcwd []", "no settings can be read"),
        ("[" * 5000, "no settings can be read"),
        (None, "No such file"),
    ],
)
def test_a_file_without_settings(content: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TrackingError) as caught:
        TrackerSettings.from_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"wandb: {notes: \xff\xfe}")
    with pytest.raises(TrackingError, match="no settings can be read"):
        TrackerSettings.from_yaml(tmp_path / "s.yaml")
