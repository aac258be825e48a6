"""Prints the plan of a run."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from asr_gate.train.record import Plan


def show_plan(plan: Plan, console: Console) -> None:
    """Print what a run will do."""
    for name, text in _lines(plan):
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


def _lines(plan: Plan) -> list[tuple[str, str]]:
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
            f"{plan.model}, {short(plan.parameters)} parameters, {plan.tokens} tokens, "
            f"embeddings {plan.embeddings}",
        ),
        ("device", f"{plan.device}, {plan.arithmetic}{many}"),
        (
            "memory",
            f"{plan.memory / 2**30:.2f} GiB per process for {share}weights, gradients and moments, "
            f"and activations on top{fewer}",
        ),
        ("steps", str(plan.steps)),
    ]
    if plan.weighted:
        text = f"{len(plan.weighted)} of the training rows, with weight {plan.excluded_weight:g}"
        lines.insert(3, ("excluded", text))
    if plan.hours is not None:
        cost = "" if plan.cost is None else f", {plan.cost:.2f} at budget.price"
        lines.append(("time", f"{plan.hours:.1f} h at budget.realtime{cost}; evaluations on top"))
    return lines


def _rows(plan: Plan) -> str:
    """How many rows train, evaluate and test, by the names of their splits."""
    hours = f"({plan.training_audio / 3600:.2f} h)"
    if plan.splits is None:
        return (
            f"train {plan.training} of {plan.corpus} rows {hours}, held out {len(plan.evaluation)}"
        )
    splits = plan.splits
    parts = [
        f"{splits.train} {plan.training} of {plan.corpus} rows {hours}",
        f"{splits.evaluation or 'held out of it'} {len(plan.evaluation)}",
    ]
    if splits.test is not None:
        parts.append(f"{splits.test} {len(plan.test)}")
    if unused := sum(n for name, n in splits.rows.items() if not splits.uses(name)):
        parts.append(f"{unused} of other splits not used")
    return ", ".join(parts)


def short(number: int) -> str:
    """A count with a unit: 1234 is `1.23 k`, 2349217408 is `2.35 G`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
