"""Attacks on the login of W&B: who may say where it is sent, and what is hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_gate.tracking import Tracker, TrackerSettings, TrackingError
from asr_gate.tracking.redact import HIDDEN, redact
from asr_gate.tracking.sync import sync
from asr_gate.tracking.sync_state import SyncState
from asr_gate.train import recipes
from tests.e2e.asr import asr_here, one_line
from tests.tracking.conftest import (  # noqa: F401  (fixtures)
    client_folder,
    fresh_client,
    wandb_environment,
)
from tests.tracking.isolation import FAKE_KEY
from tests.tracking.loopback import Loopback


def asked(server: Loopback) -> int:
    return len(server.operations)


def test_a_recipe_cannot_say_where_the_login_goes(tmp_path: Path) -> None:
    recipe = tmp_path / "theirs.yaml"
    text = (recipes.RECIPES / "round2-tiny.yaml").read_text()
    assert "wandb:\n" in text
    with Loopback() as stranger:
        recipe.write_text(text.replace("wandb:\n", f"wandb:\n  base_url: {stranger.url}\n"))
        for command in (("config", "show"), ("train",)):
            done = asr_here(*command, recipe, cwd=tmp_path)
            assert done.returncode == 2, command
            assert "wandb.base_url: cannot be set by a recipe" in one_line(done)
        assert asked(stranger) == 0
    with pytest.raises(TrackingError, match=r"wandb\.entity: cannot be set"):
        TrackerSettings.resolve(TrackerSettings(entity="theirs"), environment={})
    given = TrackerSettings(base_url="https://mine.example")
    with pytest.raises(TrackingError, match="cannot be set"):
        TrackerSettings.resolve(given, environment={})
    fixed = TrackerSettings.resolve(given, fixed={"base_url"}, environment={})
    assert fixed.base_url == "https://mine.example"


@pytest.mark.parametrize("folder", ["wandb", ".wandb"])
@pytest.mark.parametrize("key", ["base_url", "https_proxy", "api_key"])
def test_settings_in_the_folder_cannot_say_where_the_login_goes(
    folder: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    with Loopback() as stranger:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "settings").write_text(f"[default]\n{key} = {stranger.url}\n")
        done = asr_here("audit", "--wandb", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert f"settings: sets {key}" in one_line(done)
        assert asked(stranger) == 0


def test_settings_in_the_folder_cannot_undo_what_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither they nor a recipe: the user said `wandb disabled`."""
    monkeypatch.chdir(tmp_path)
    for folder, mode in (("own", "disabled"), ("wandb", "online")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "settings").write_text(f"[default]\nmode = {mode}\n")
    environment = {"WANDB_CONFIG_DIR": str(tmp_path / "own"), "WANDB_API_KEY": FAKE_KEY}
    recipe = TrackerSettings(enabled=True, mode="online", folder=tmp_path / "elsewhere")
    commands: tuple[Literal["audit", "train"], ...] = ("audit", "train")
    for command in commands:
        settings = TrackerSettings.resolve(
            recipe, origin="recipe", environment=environment, command=command
        )
        assert settings.on is False


def test_names_in_the_settings_of_the_folder_are_harmless(tmp_path: Path) -> None:
    (tmp_path / "wandb").mkdir()
    settings = tmp_path / "wandb" / "settings"
    settings.write_text("[default]\nentity = us\nproject = speech\nmode = offline\n")
    Tracker(TrackerSettings(enabled=True, mode="offline", folder=tmp_path)).check()
    settings.unlink()
    settings.symlink_to("/dev/zero")
    with pytest.raises(TrackingError, match="cannot be read"):
        Tracker(TrackerSettings(enabled=True, mode="offline", folder=tmp_path)).check()


@pytest.mark.usefixtures("wandb_environment", "fresh_client")
def test_the_folder_of_a_run_cannot_say_where_the_login_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login is for one server by the user's own settings; the folder names another."""
    with Loopback() as ours, Loopback() as stranger:
        own = tmp_path / "own"
        own.mkdir()
        (own / "settings").write_text(f"[default]\nbase_url = {ours.url}\n")
        monkeypatch.setenv("WANDB_CONFIG_DIR", str(own))
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        folder = tmp_path / "wandb" / "offline-run-20260101_000000-a"
        folder.mkdir(parents=True)
        state = SyncState(
            run_id="a", entity="", project="p", process=2**22 + 1, began=0.0,
            base_url=stranger.url, state="unsent",
        )  # fmt: skip
        state.write(folder)
        (result,) = sync([folder])
        assert not result.sent
        assert f"was made for {stranger.url}, not for {ours.url}" in result.problem
        assert asked(stranger) == 0


NAMES = (
    "api_key", "private_key", "privateKey", "passphrase", "Authorization", "hf_token", "password",
    "DB_PASSWORD", "credentials", "cookie", "aws.secret_access_key", "github-token", "tokens",
)  # fmt: skip


@given(
    name=st.sampled_from(NAMES),
    secret=st.text("abcdefghij0123456789", min_size=8, max_size=40),
    depth=st.integers(0, 4),
)
def test_whatever_lies_under_a_secret_s_name_is_hidden(name: str, secret: str, depth: int) -> None:
    """Text, and lists and mappings around it."""
    value: object = secret
    for level in range(depth):
        value = [value] if level % 2 else {"inner": value}
    shown = json.dumps(redact({"outer": [{name: value}], "harmless": 1}))
    assert secret not in shown
    assert HIDDEN in shown


@given(
    user=st.text("abc123", min_size=1, max_size=8),
    password=st.text("xyz789-_.", min_size=8, max_size=30),
)
def test_who_stands_in_an_address_is_hidden(user: str, password: str) -> None:
    for address in (
        f"https://{user}:{password}@host/path",
        f"postgres://{user}:{password}@db:5432/x",
        f"https://{password}@github.com/o/r",
    ):
        shown = json.dumps(redact({"remote": f"see {address} there"}))
        assert password not in shown
        assert "host" in shown or "db:5432" in shown or "github.com" in shown


@pytest.mark.parametrize("name", ["DATABASE_URL", "SIGNING_KEY", "MY_PASSPHRASE", "X_TOKEN"])
def test_the_value_of_a_secret_s_variable_is_hidden_wherever_it_stands(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = "db://me:tr0ub4dor@host/x" if name.endswith("URL") else "tr0ub4dor-and-3"
    monkeypatch.setenv(name, value)
    assert "tr0ub4dor" not in json.dumps(redact({"note": f"it is {value}!", f"k{value}": 1}))
    monkeypatch.setenv("WANDB_BASE_URL", "https://w.example")
    assert redact({"url": "https://w.example"}) == {"url": "https://w.example"}
