"""Which recipe a round trains by: that of `rounds.toml`, or one that a sweep found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_gate.corpus.digests import digest_of
from asr_gate.rounds.loop.settings import Settings
from asr_gate.rounds.loop.state import Round, path_digest
from asr_gate.rounds.loop.step import Context
from asr_gate.train import recipes


def adopted(context: Context, round: Round) -> Path | None:
    """The recipe that a sweep of an earlier round found, if that round's model went into use.

    It belongs to what `rounds.toml` says of training; None: there is none, or that has changed.
    """
    for one in reversed(context.rounds):
        facts = one.steps["sweep"].facts if "sweep" in one.steps else {}
        if one.number < round.number and one.promoted and facts.get("taken"):
            same = facts.get("of") == train_digest(context.settings)
            return Path(facts["recipe"]) if same else None
    return None


def chosen(context: Context, round: Round) -> Path | None:
    """The recipe that a sweep found, now or earlier; None: that of `rounds.toml`."""
    step = round.steps.get("sweep")
    if step is not None and step.facts.get("taken"):
        return Path(step.facts["recipe"])
    return adopted(context, round)


def train_digest(settings: Settings) -> str:
    """Of what `rounds.toml` says of training: a recipe that was found belongs to that."""
    return f"sha256:{digest_of(settings.train.model_dump())}"


def recipe_of(found: Path | None, settings: Settings) -> tuple[str, list[str]]:
    """Name and overrides, as `asr train` takes them."""
    if found is not None:  # has the overrides in it
        return str(found), []
    return settings.train.recipe, settings.train.overrides


def recipe_inputs(found: Path | None, settings: Settings) -> dict[str, Any]:
    """What decides a training: the recipe as it will run, and the files that it names."""
    name, overrides = recipe_of(found, settings)
    recipe = recipes.load(name, overrides)[1]
    start = recipe.model.pretrained
    own = [*recipe.data.validation, *recipe.data.test]
    return {
        "content": recipe.model_dump(mode="json", exclude={"wandb", "logging", "budget"}),
        "start": start and path_digest(Path(start)),
        "own": [path_digest(Path(one)) for one in own],
    }
