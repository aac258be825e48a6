"""Prints the plan of a run."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from asr_gate.train.plan import OwnSet, Plan, PlannedHoldOut


def show_plan(plan: Plan, console: Console, chosen: str | None = None) -> None:
    """Print what a run will do.

    Args:
        plan: of the run.
        console: where it is printed.
        chosen: why it computes where it does; None: the user has said where.
    """
    for name, text in _lines(plan, chosen):
        console.print(f"{name:<11}{text}", markup=False, highlight=False, soft_wrap=True)
    table = Table("phase", "epochs", "group", "learning rate", "parameters", box=None)
    table.columns[4].justify = "right"
    for phase in plan.phases:
        for index, group in enumerate(phase.groups):
            table.add_row(
                phase.name if index == 0 else "",
                ", ".join(map(str, phase.epochs)) if index == 0 else "",
                group.name,
                f"{group.learning_rate:.1e}",
                short(group.parameters),
            )
        trained = sum(group.parameters for group in phase.groups)
        table.add_row("", "", "frozen", "", short(plan.parameters - trained))
    console.print(table)


def _lines(plan: Plan, chosen: str | None) -> list[tuple[str, str]]:
    rules = Counter(row.rule for row in plan.refused)
    refused = f"{len(plan.refused)} refused"
    if rules:
        refused += f" ({', '.join(f'{rule} {n}' for rule, n in sorted(rules.items()))})"
    many = f", {plan.processes} processes" if plan.processes > 1 else ""
    share = "its shards of " if plan.sharding == "fsdp2" and plan.processes > 1 else ""
    checkpointed = [phase.name for phase in plan.phases if phase.gradient_checkpointing]
    fewer = f" (few in {', '.join(checkpointed)}: checkpointed)" if checkpointed else ""
    lines = [
        ("recipe", plan.recipe),
        ("report", f"{plan.report}: {plan.decision}"),
        (
            "rows",
            f"{_rows(plan)}; {len(plan.excluded)} excluded by the audit, {refused}",
        ),
        (
            "model",
            f"{plan.model}, {short(plan.parameters)} parameters, {plan.tokens} tokens"
            + (f", embeddings {plan.embeddings}" if plan.embeddings else ""),
        ),
        (
            "device",
            f"{plan.device}, {plan.arithmetic}, kernels of {plan.kernels}{many}"
            + (f"; {chosen}" if chosen else ""),
        ),
        (
            "memory",
            f"{plan.memory / 2**30:.2f} GiB per process for {share}weights, gradients and moments, "
            f"and activations on top{fewer}",
        ),
        ("steps", str(plan.steps)),
    ]
    lines[3:3] = [(name, _own_set(one)) for name, one in plan.own.items()]
    if plan.hold_out is not None:
        lines.insert(3, ("held out", _held_out(plan, plan.hold_out)))
    if plan.slow_to_read:
        lines.append(
            (
                "reading",
                f"{plan.slow_to_read} of the training rows start late in an MP3, which is decoded "
                "from its start each time: store the recordings as FLAC",
            )
        )
    if plan.chosen:
        machine = "a CPU" if plan.gpu_memory is None else f"{plan.gpu_memory:.0f} GiB a GPU"
        values = ", ".join(f"{key} {_value(value)}" for key, value in plan.chosen.items())
        lines.append(("auto", f"{values}; for {machine}{many}"))
    if plan.weighted:
        text = f"{len(plan.weighted)} of the training rows, with weight {plan.excluded_weight:g}"
        lines.insert(3, ("excluded", text))
    return [*lines, *_time(plan)]


def _time(plan: Plan) -> list[tuple[str, str]]:
    """How often the run evaluates and saves, and how long it will take."""
    lines, time = [], plan.time
    if time is not None:
        lines.append(
            (
                "cadence",
                f"{time.evaluations} evaluations of {len(plan.evaluation)} rows, "
                f"{time.checkpoints} checkpoints and {time.states} states to resume from: "
                f"{short(time.written)}B to disk",
            )
        )
    cost = "" if plan.cost is None else f", {plan.cost:.2f} at budget.price"
    if time is not None and time.expected is not None:
        lines += [
            ("time", f"{plan.hours:.1f} h on {time.machine}{cost}: {time.expected.in_words()}"),
            (
                "estimated",
                f"each process trains on {time.realtime:.0f} s of audio a second; counted on paper "
                "for an A100, not measured: set budget.realtime to what a run has printed",
            ),
        ]
    elif plan.hours is not None:
        lines.append(("time", f"{plan.hours:.1f} h at budget.realtime{cost}; evaluations on top"))
    return lines


def _value(value: bool | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _rows(plan: Plan) -> str:
    """How many rows train, evaluate and test, by the names of their splits."""
    splits = plan.splits
    evaluation, test = "validation", "test"
    if plan.hold_out is not None:
        evaluation = "held out" if splits is None else "held out of it"
    elif splits is not None and splits.evaluation is not None:
        evaluation = splits.evaluation
    if splits is not None and splits.test is not None:
        test = splits.test
    parts = [
        f"{'train' if splits is None else splits.train} {plan.training:,} of {plan.corpus:,} rows "
        f"({plan.training_audio / 3600:.2f} h)",
        f"{evaluation} {len(plan.evaluation):,}",
    ]
    if plan.evaluation_of > len(plan.evaluation):
        parts[-1] += f" of {plan.evaluation_of:,}"
    if plan.test or "test" in plan.own or (splits is not None and splits.test is not None):
        parts.append(f"{test} {len(plan.test):,}")
    if splits is not None and (
        unused := sum(n for name, n in splits.rows.items() if not splits.uses(name))
    ):
        parts.append(f"{unused:,} of other splits not used")
    return ", ".join(parts)


def _held_out(plan: Plan, how: PlannedHoldOut) -> str:
    """Which groups of rows are held out, and why not larger ones."""
    text = f"by {how.by}: {how.held:,} of {how.groups:,}"
    if how.why is not None:
        text += f", as there is too little to hold out more ({how.why})"
    if plan.set_aside:
        text += f"; {len(plan.set_aside):,} more of their rows neither train nor evaluate"
    return text


def _own_set(one: OwnSet) -> str:
    """Where a set that was not audited comes from."""
    return f"{', '.join(one.manifests)}: {one.rows:,} rows, not audited, {one.fingerprint[:15]}"


def short(number: int) -> str:
    """A count with a unit: 1234 is `1.23 k`, 2349217408 is `2.35 G`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
