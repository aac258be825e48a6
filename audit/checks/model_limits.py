"""D008: longer than the model to train can take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.model_limits
    heard = {row.id: row.duration for row in rows}
    for row in context.corpus.utterances:
        seconds = heard.get(row.id) or row.duration or 0.0
        if seconds > limits.max_seconds:
            yield row.id, f"{seconds:.2f} s long, over {limits.max_seconds:g} s"
        elif len(row.text) > limits.max_characters:
            yield row.id, f"{len(row.text)} characters, over {limits.max_characters}"


RULE = Rule(
    code="D008",
    name="model-limits",
    severity="warning",
    summary="Longer than the model to train can take.",
    mend="Cut the recording into utterances; or set the limits to those of your model.",
    find=_find,
)
