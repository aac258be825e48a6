"""`asr config show`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import split_overrides, wandb_options

if TYPE_CHECKING:
    from asr_gate.cli.project import Project


SHOWN = {
    "audit": ("corpus", "audit", "output"),
    "gate": ("corpus", "output"),
    "eval": ("corpus",),
    "train": ("corpus", "output"),
}
"""Commands, and the sections of asr.toml that they use."""


@click.group("config", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Show what a command would run with.

    \b
    Example:
      asr config show audit
      asr config show train round2 wandb.project=hebrew
    """


@command.command(
    "show",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr config show train round2 wandb.project=hebrew --json",
)
@click.argument("words", nargs=-1, metavar="[audit|gate|eval|train RECIPE] [KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print values and origins as JSON.")
@wandb_options
@debug_option
def show_config(words: tuple[str, ...], as_json: bool, tracking: dict[str, Any]) -> int:
    """Print every value and where it comes from.

    The origins, in the order in which they count: command line, environment, asr.toml, recipe,
    default. Of one command, or without one all that does not depend on a recipe; the word train may
    be left out. Secrets are never shown.
    """
    from asr_gate.cli.project import load_project

    names = [word for word in words if "=" not in word]
    overrides = tuple(word for word in words if "=" in word)
    command = names.pop(0) if names and names[0] in SHOWN else ("train" if names else None)
    if len(names) > (command == "train"):
        raise click.UsageError(f"{names[-1]}: one command, and for train one recipe, can be shown")
    if command == "train" and not names:
        raise click.UsageError("name the recipe: asr config show train RECIPE")
    project = load_project()
    values = _of_project(project, SHOWN.get(command or "", ("corpus", "audit", "output")))
    if command == "train":
        values |= _of_recipe(names[0], overrides, tracking, project)
    elif command != "gate":
        values |= _plain(command, overrides, tracking, project)
    elif overrides or tracking:
        raise click.UsageError("the gate is not tracked: it has no KEY=VALUE")
    if os.environ.get("WANDB_API_KEY"):
        values["wandb.api_key"] = (os.environ["WANDB_API_KEY"], "WANDB_API_KEY")
    show(lambda: _print(values, as_json))
    return 0


def _of_project(project: Project, sections: tuple[str, ...]) -> dict[str, tuple[Any, str]]:
    """What asr.toml holds, by dotted key; its section on tracking is the block `wandb`."""
    found: dict[str, tuple[Any, str]] = {}
    for name in sections:
        section = getattr(project, name)
        for key, value in section.model_dump(mode="json", exclude_none=True).items():
            origin = "asr.toml" if key in section.model_fields_set else "default"
            found[f"{name}.{key}"] = (value, origin)
    return found


def _plain(
    command: str | None, overrides: tuple[str, ...], flags: dict[str, Any], project: Project
) -> dict[str, tuple[Any, str]]:
    from asr_gate.tracking import TrackerSettings

    rest, given = split_overrides(overrides)
    if rest:
        raise click.UsageError(f"{rest[0]}: without a recipe there is only wandb.KEY=VALUE")
    settings = TrackerSettings.resolve(
        asr_toml=project.tracking.given(),
        command="audit" if command == "audit" else None,
        **{**given, **flags},
    )
    decided = {} if command is None else {"wandb": settings.state}
    return decided | _with_origins(settings.as_config(), settings.sources)


def _of_recipe(
    name: str, overrides: tuple[str, ...], flags: dict[str, Any], project: Project
) -> dict[str, tuple[Any, str]]:
    from asr_gate.tracking import TrackerSettings
    from asr_gate.train import recipes

    found = recipes.origins(name, overrides)
    _, loaded = recipes.load(name, overrides)
    fixed = recipes.overridden(overrides, "wandb")
    settings = TrackerSettings.resolve(
        loaded.wandb,
        origin="",
        fixed=fixed,
        asr_toml=project.tracking.given(),
        command="train",
        **flags,
    )
    if loaded.data.language is None and project.corpus.language is not None:
        found["data.language"] = (project.corpus.language, "asr.toml")
    # What the recipe or KEY=VALUE sets has its origin already, key by key.
    changed = {
        key: origin
        for key, origin in settings.sources.items()
        if origin not in ("", "default")
        and (key not in fixed or key in flags or origin == "WANDB_DISABLED")
    }
    config = {key: value for key, value in settings.as_config().items() if key in changed}
    return {"wandb": settings.state} | found | _with_origins(config, changed)


def _with_origins(config: dict[str, object], origins: dict[str, str]) -> dict[str, tuple[Any, str]]:
    """The block's values by dotted key."""
    flat: dict[str, tuple[Any, str]] = {}
    for name, value in config.items():
        origin = origins.get(name, "default")
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, one in inner:
            flat[f"wandb.{name}.{key}".rstrip(".")] = (one, origin)
    return flat


def _print(values: dict[str, tuple[Any, str]], as_json: bool) -> None:
    from asr_gate.corpus.text.plain import plain
    from asr_gate.tracking.redact import redact

    hidden = {key: redact({key.rpartition(".")[2]: value}) for key, (value, _) in values.items()}
    shown = {key: next(iter(one.values())) for key, one in hidden.items() if isinstance(one, dict)}
    if as_json:
        rows = {key: {"value": shown[key], "from": origin} for key, (_, origin) in values.items()}
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    import rich.box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("key", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", no_wrap=True)
    for key, (_, origin) in values.items():
        text = json.dumps(shown[key], ensure_ascii=False)
        table.add_row(Text(plain(key)), Text(plain(text)), Text(plain(origin)))
    Console().print(table)
