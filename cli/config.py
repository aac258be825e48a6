"""`asr config show`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import split_overrides, wandb_options


@click.group("config", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Show what a command would run with.

    Example: asr config show round2 wandb.project=hebrew
    """


@command.command(
    "show",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr config show round2 wandb.project=hebrew --json",
)
@click.argument("recipe", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print values and origins as JSON.")
@wandb_options
@debug_option
def show_config(
    recipe: str | None, overrides: tuple[str, ...], as_json: bool, tracking: dict[str, Any]
) -> int:
    """Print every value and where it comes from: command line, environment, recipe or default.

    Of RECIPE, with what the environment and the flags change of its block `wandb`; without one,
    that block as `asr audit` and `asr eval` have it. Secrets are never shown.
    """
    if recipe is None or "=" in recipe:
        values = _plain((*([recipe] if recipe else []), *overrides), tracking)
    else:
        values = _of_recipe(recipe, overrides, tracking)
    if os.environ.get("WANDB_API_KEY"):
        values["wandb.api_key"] = (os.environ["WANDB_API_KEY"], "WANDB_API_KEY")
    show(lambda: _print(values, as_json))
    return 0


def _plain(overrides: tuple[str, ...], flags: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    from asr_gate.tracking import TrackerSettings

    rest, given = split_overrides(overrides)
    if rest:
        raise click.UsageError(f"{rest[0]}: without a recipe there is only wandb.KEY=VALUE")
    settings = TrackerSettings.resolve(**{**given, **flags})
    return _with_origins(settings.as_config(), settings.sources)


def _of_recipe(
    name: str, overrides: tuple[str, ...], flags: dict[str, Any]
) -> dict[str, tuple[Any, str]]:
    from asr_gate.tracking import TrackerSettings
    from asr_gate.train import recipes

    found = recipes.origins(name, overrides)
    _, loaded = recipes.load(name, overrides)
    fixed = recipes.overridden(overrides, "wandb")
    settings = TrackerSettings.resolve(loaded.wandb, origin="", fixed=fixed, **flags)
    # What the recipe or KEY=VALUE sets has its origin already, key by key.
    changed = {
        key: origin
        for key, origin in settings.sources.items()
        if origin not in ("", "default")
        and (key not in fixed or key in flags or origin == "WANDB_DISABLED")
    }
    config = {key: value for key, value in settings.as_config().items() if key in changed}
    return found | _with_origins(config, changed)


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
