"""In place of the commands that a round starts: models that are nothing but their mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from asr_gate.rounds.loop.run import Outcome, run_rounds
from asr_gate.rounds.model_gate.formats import write_gate
from asr_gate.rounds.model_gate.run import gate_model
from asr_gate.rounds.model_gate.suite import load_suite
from asr_gate.rounds.registry.events import Registry
from asr_gate.rounds.registry.promote import promote
from asr_gate.train import recipes
from asr_gate.train.record import read_record, write_record
from tests.rounds.models import Evaluator, write_model
from tests.rounds.runs import SUITE, write_run, write_set
from tests.train.support import write_report

SETTINGS = """\
suite = "suite.toml"
baseline = "base"
[data]
manifests = ["train/rows.jsonl"]
[train]
recipe = "round2-tiny"
overrides = ["seed={seed}"]
"""
EXIT_CODES = {"pass": 0, "fail": 20, "no decision": 30}


class Killed(BaseException):
    """In place of SIGKILL: nobody catches it."""


class Commands:
    """Does what `asr` would do; the share of mistakes of a model is its recipe's `seed` in %."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.kill: tuple[str, str] | None = None
        """Once, `before` or `after` a step has done its work."""
        self.decision = "PROCEED"

    def __call__(
        self, command: Sequence[str], log: Path, tell: Callable[[str], None]
    ) -> tuple[int, str]:
        words = [word for word in command if not word.startswith("--")]
        words = words[1 + next(at for at, word in enumerate(words) if word.startswith("asr")) :]
        options = dict(
            word.split("=", 1) for word in command if word.startswith("--") and "=" in word
        )
        name = words[1] if words[0] == "model" else words[0]
        self._die(name, "before")
        self.calls.append(name)
        code, said = getattr(self, f"_{name}")(words, options)
        self._die(name, "after")
        return code, said

    def _die(self, name: str, when: str) -> None:
        if self.kill == (name, when):
            self.kill = None
            raise Killed

    def _audit(self, words: list[str], options: dict[str, str]) -> tuple[int, str]:
        write_report(Path("reports") / options["--name"], Path(words[1]), decision=self.decision)
        return {"PROCEED": 0, "CAUTION": 10, "STOP": 20}[self.decision], ""

    def _train(self, words: list[str], options: dict[str, str]) -> tuple[int, str]:
        share = recipes.load(words[1], words[2:])[1].seed / 100
        out = Path(options["--out"])
        write_run(out, share, Path(options["--report"]) / "alignment_report.json")
        write_record(out, read_record(out).model_copy(update={"status": "finished"}))
        return 0, ""

    def _sweep(self, words: list[str], options: dict[str, str]) -> tuple[int, str]:
        return 0, ""

    def _eval(self, words: list[str], options: dict[str, str]) -> tuple[int, str]:
        Evaluator()(words[1], words[2:], out=Path(options["--out"]))
        return 0, ""

    def _gate(self, words: list[str], options: dict[str, str]) -> tuple[int, str]:
        suite = load_suite(Path(options["--suite"]))
        gated = gate_model(words[2], options["--against"], suite, Evaluator())
        write_gate(gated, Path(options["--out"]))
        return EXIT_CODES[gated.result.outcome], ""

    def _promote(self, words: list[str], options: dict[str, str]) -> tuple[int, str]:
        promote(Path(words[2]), Registry(), gate=Path(options["--gate"]))
        return 0, ""


def prepare(mistakes: int) -> None:
    """The files of a project, in the current folder; the first model has so many % of mistakes."""
    write_set(Path("train/rows.jsonl"), "train", 20)
    write_set(Path("test/rows.jsonl"), "test", 60)
    Path("suite.toml").write_text(SUITE)
    write_model(Path("base"), 0.6)
    settings(mistakes)


def settings(mistakes: int, more: str = "") -> None:
    Path("rounds.toml").write_text(SETTINGS.format(seed=mistakes) + more)


def go() -> Outcome:
    return run_rounds(Path("rounds.toml"), asr=["asr"])
