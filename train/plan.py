"""What a run will do, counted before weights are touched; `--dry-run` prints it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.utterance import Seconds

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """Parameters that train together."""

    name: str
    learning_rate: float
    parameters: int
    """Numbers in all its matrices and vectors."""


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    """Epochs with the same groups."""

    name: str
    epochs: list[int]
    groups: list[PlannedGroup]
    gradient_checkpointing: bool


@dataclass(frozen=True)
class Plan:
    """One run, counted."""

    recipe: str
    report: str
    """Path or reference of the report."""
    decision: str
    corpus: int
    """Rows of the manifests that could be read."""
    training: int
    """Rows that train."""
    training_audio: Seconds
    evaluation: list[str]
    """Ids held out."""
    condemned: list[str]
    """Ids that the audit condemned and that are left out."""
    weighted: list[str]
    """Ids that it condemned and that train by `data.condemned_weight`."""
    condemned_weight: float
    refused: list[dict[str, str]]
    """`id`, `rule` and `reason` of the rows that a rule keeps out."""
    model: str
    parameters: int
    """Of the whole model."""
    tokens: int
    """Size of the tokenizer's vocabulary."""
    embeddings: str
    """`tied` or `untied`."""
    phases: list[PlannedPhase]
    steps: int
    device: str
    arithmetic: str
    """`bfloat16` or `float32`; weights are float32 in both."""
    processes: int
    sharding: str
    """`none` or `fsdp2`."""
    memory: int
    """Bytes that weights, gradients and moments take in the phase that takes most, a process;
    activations come on top."""
    hours: float | None
    """By `budget.realtime`; None: not said."""
    cost: float | None
    """By `budget.price` too."""

    def show(self, console: Console) -> None:
        """Print it."""
        from rich.table import Table

        def line(name: str, text: str) -> None:
            console.print(f"{name:<11}{text}", markup=False, highlight=False, soft_wrap=True)

        rules = Counter(row["rule"] for row in self.refused)
        refused = f"{len(self.refused)} refused"
        if rules:
            refused += f" ({', '.join(f'{rule} {n}' for rule, n in sorted(rules.items()))})"
        line("recipe", self.recipe)
        line("report", f"{self.report}: {self.decision}")
        line(
            "rows",
            f"{self.training} train ({self.training_audio / 3600:.2f} h), "
            f"{len(self.evaluation)} evaluate, {len(self.condemned)} dropped by the audit, "
            f"{refused}; {self.corpus} in the corpus",
        )
        if self.weighted:
            line(
                "condemned",
                f"{len(self.weighted)} of those that train, at weight {self.condemned_weight:g}",
            )
        line(
            "model",
            f"{self.model}, {_count(self.parameters)} parameters, {self.tokens} tokens, "
            f"embeddings {self.embeddings}",
        )
        many = f", {self.processes} processes" if self.processes > 1 else ""
        line("device", f"{self.device}, {self.arithmetic}{many}")
        share = "its share of " if self.sharding == "fsdp2" and self.processes > 1 else ""
        checkpointed = [phase.name for phase in self.phases if phase.gradient_checkpointing]
        saved = f" (few in {', '.join(checkpointed)}: checkpointed)" if checkpointed else ""
        line(
            "memory",
            f"{self.memory / 2**30:.2f} GiB a process for {share}weights, gradients and moments, "
            f"and activations on top{saved}",
        )
        line("steps", str(self.steps))
        if self.hours is not None:
            cost = "" if self.cost is None else f", {self.cost:.2f} at budget.price"
            line("time", f"{self.hours:.1f} h at budget.realtime{cost}; evaluations on top")
        table = Table("phase", "epochs", "group", "learning rate", "parameters", box=None)
        table.columns[4].justify = "right"
        for phase in self.phases:
            for index, group in enumerate(phase.groups):
                table.add_row(
                    phase.name if index == 0 else "",
                    ", ".join(map(str, phase.epochs)) if index == 0 else "",
                    group.name,
                    f"{group.learning_rate:.1e}",
                    _count(group.parameters),
                )
            trained = sum(group.parameters for group in phase.groups)
            table.add_row("", "", "frozen", "", _count(self.parameters - trained))
        console.print(table)

    def as_dict(self) -> dict[str, Any]:
        """For `run.json`."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """The same with counts in place of lists of rows."""
        content = self.as_dict()
        for name in ("evaluation", "condemned", "weighted", "refused"):
            content[name] = len(content[name])
        return content


def _count(number: int) -> str:
    """1 234 → `1.2 k`, 2 349 217 408 → `2.35 G`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
