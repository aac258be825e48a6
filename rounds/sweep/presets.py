"""Files to start from, and the file of the next sweep around the best trial of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.sweep import space
from asr_gate.rounds.sweep.file import Method, SweepFile
from asr_gate.train import recipes
from asr_gate.train.files import write_file

Preset = Literal["minimal", "finetuning"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
TRIALS: Mapping[tuple[Preset, Method], int | None] = {
    ("minimal", "random"): 5,
    ("minimal", "bayes"): 5,
    ("finetuning", "random"): 20,
    ("finetuning", "bayes"): 30,
}
"""A grid has as many as it has points."""


def preset(
    name: Preset, recipe: str, method: Method = "random", options: Sequence[str] = ()
) -> dict[str, Any]:
    """The content of a file.

    Args:
        name: `minimal` varies learning rate and epochs; `finetuning` all that a recipe has of the
            single numbers of `train.recipes.scalars`.
        recipe: to start from.
        method: how values are chosen.
        options: of `asr train`, such as `--data train.jsonl`.

    Raises:
        UserError: there is no such recipe.
    """
    settings = recipes.load(recipe)[1]
    parameters = _parameters(settings, name, method == "grid")
    cap = TRIALS.get((name, method))
    return {
        "program": recipe,
        "command": ["asr", "train", "${program}", *options, "${args}"],
        "method": method,
        "metric": {"name": "eval/wer", "goal": "minimize"},
        **({} if cap is None else {"run_cap": cap}),
        "parameters": parameters,
    }


def _parameters(recipe: recipes.Recipe, name: Preset, grid: bool) -> dict[str, Any]:
    least, epochs = len(recipe.phases), recipe.epochs
    counts = sorted({max(least, epochs // 2), epochs, 2 * epochs})
    found: dict[str, Any] = {
        "learning_rate": _log(0.1, 10.0) if not grid else {"values": [0.3, 1.0, 3.0]},
        "epochs": {"values": counts},
    }
    if name == "minimal":
        return found
    # Either may be `auto`; what a recipe leaves to the machine follows from the audio of a step.
    seconds: Any = recipe.data.batch_seconds
    accumulate: Any = recipe.optimizer.accumulate
    if isinstance(seconds, float):
        found["batch_seconds"] = {"values": [seconds / 2, seconds, 2 * seconds]}
        if isinstance(accumulate, int):
            found["accumulate"] = {"values": [accumulate, 2 * accumulate]}
    else:
        step = recipe.optimizer.step_seconds
        found["optimizer.step_seconds"] = {"values": [step / 2, step, 2 * step]}
    found["warmup"] = {"values": [0.0, 0.05, 0.1]} if grid else _uniform(0.0, 0.2)
    found["weight_decay"] = {"values": [0.001, 0.01, 0.1]} if grid else _log(0.001, 0.1)
    if recipe.model.lora is not None:
        found["dropout"] = {"values": [0.0, 0.1]} if grid else _uniform(0.0, 0.3)
    return found


def _log(low: float, high: float) -> dict[str, Any]:
    return {"distribution": "log_uniform_values", "min": low, "max": high}


def _uniform(low: float, high: float) -> dict[str, Any]:
    return {"distribution": "uniform", "min": low, "max": high}


def refined(sweep: SweepFile, name: str, best: space.Settings) -> dict[str, Any]:
    """The content of a file for a second sweep: `bayes`, in a narrower space around the best trial.

    Args:
        sweep: the first one.
        name: of the first one.
        best: values of its best trial.
    """
    content = sweep.model_dump(exclude_unset=True)
    return {
        **content,
        "name": f"{name}-refined",
        "method": "bayes",
        "run_cap": TRIALS["finetuning", "bayes"],
        "parameters": {
            key: space.narrowed(one, best[key]).model_dump(exclude_unset=True)
            for key, one in sweep.parameters.items()
        },
    }


def require_new(path: Path) -> None:
    """Refuse to write over a file.

    Raises:
        UserError: it is there.
    """
    if path.exists():
        raise UserError(f"{path}: is there already; name another file, or delete it")


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of a sweep.

    Raises:
        UserError: it is there already, or cannot be written.
    """
    import yaml

    require_new(path)
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=100)
    write_file(path, text.encode())
