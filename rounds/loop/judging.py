"""The steps that judge a model: evaluation, gate, promotion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_gate.rounds.cases.sources import from_evaluation
from asr_gate.rounds.cases.store import CaseStore
from asr_gate.rounds.loop.settings import Settings
from asr_gate.rounds.loop.state import Baseline, Round, path_digest
from asr_gate.rounds.loop.step import Came, Context, Kind, options
from asr_gate.rounds.model_gate.result import GATE_FILE, read_gate
from asr_gate.rounds.registry.events import Registry
from asr_gate.train.evaluation.result_file import RESULT_FILE, read_result

EVALS, GATES = map(Path, ("evals", "gates"))


class Evaluate(Kind):
    """`asr eval` on the suite's data, and `asr cases add`."""

    name = "evaluate"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """The model and the rows."""
        suite = context.suite()
        data = suite.content.data
        return {
            "model": round.steps["train"].facts["sha256"],
            "rows": context.rows_of(data, suite),
            "language": data.language or context.language,
            "numbers": suite.content.numbers,
        }

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """The rows of the suite."""
        suite = context.suite()
        data = suite.content.data
        return [
            "eval",
            round.steps["train"].facts["checkpoint"],
            *suite.manifests(data),
            *options(
                {
                    "--audio-root": suite.audio_root(data),
                    "--split": data.split,
                    "--language": data.language,
                    "--numbers": suite.content.numbers,
                    "--out": EVALS / round.name,
                }
            ),
        ]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came:
        """The rates; what is wrong is added to the cases."""
        suite = context.suite()
        place = EVALS / round.name
        result, _ = read_result(place)
        found = from_evaluation(place, suite.audio_root(suite.content.data))
        added = CaseStore(Path(context.settings.cases)).add(found)
        rates = {name: one.wer for name, one in result.domains.items()}
        more = {
            "result": str(place),
            "wer": result.overall.wer,
            "cer": result.overall.cer,
            "domains": rates,
        }
        says = f"WER {100 * result.overall.wer:.1f} %; {added.new} new cases"
        return Came(says, [place / RESULT_FILE], more)


class Gate(Kind):
    """`asr model gate` against the model in use."""

    name = "gate"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """Both models, the suite, and the rows of its regression sets."""
        suite = context.suite()
        assert round.baseline is not None
        return {
            "model": round.steps["train"].facts["sha256"],
            "result": next(iter(round.steps["evaluate"].outputs.values())),
            "baseline": round.baseline.sha256 or round.baseline.checkpoint,
            "suite": suite.digest,
            "regression": [context.rows_of(one, suite) for one in suite.content.regression],
        }

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """The candidate by its result, which is there."""
        assert round.baseline is not None
        return [
            "model",
            "gate",
            round.steps["evaluate"].facts["result"],
            *options(
                {
                    "--against": round.baseline.checkpoint,
                    "--suite": context.settings.suite,
                    "--out": GATES / round.name,
                }
            ),
        ]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came:
        """The gain, or what failed."""
        path = GATES / round.name / GATE_FILE
        found = read_gate(path)
        told = found.failed or [one for one in found.checks if one.group == "gain"]
        says = "; ".join(f"{one.group} {one.name}: {one.says}" for one in told)
        gain = next((one for one in found.checks if one.group == "gain"), None)
        more = {
            "gate": str(path.parent),
            "outcome": found.outcome,
            "failed": [f"{one.group} {one.name}" for one in found.failed if one.outcome == "fail"],
            "gain": gain and gain.value,
            "gain_says": gain and gain.says,
        }
        return Came(f"{found.outcome}: {says}", [path], more)


class Promote(Kind):
    """`asr model promote`."""

    name = "promote"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """The model and what the gate found."""
        return {
            "model": round.steps["train"].facts["sha256"],
            "gate": round.steps["gate"].outputs,
        }

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """By this gate alone."""
        return [
            "model",
            "promote",
            round.steps["train"].facts["checkpoint"],
            *options(
                {"--gate": round.steps["gate"].facts["gate"], "--why": f"round {round.number}"}
            ),
            *["--accept-caution"] * context.settings.accept_caution,
        ]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came:
        """The model in use."""
        found = Registry().show()
        return Came("" if found is None else f"in use: {found.model.checkpoint}")


def find_baseline(settings: Settings, round: Round) -> Baseline:
    """The model in use; for a model that is in use itself, the one that it was held against."""
    model = round.steps["train"].facts["sha256"]
    registry = Registry()
    production = registry.show()
    if production is None:
        return Baseline(checkpoint=settings.baseline, sha256=path_digest(Path(settings.baseline)))
    if round.baseline is not None and (round.promoted or production.model.sha256 == model):
        return round.baseline
    return Baseline(checkpoint=str(registry.find(production.model)), sha256=production.model.sha256)
