"""The rules for texts in a process of their own, on another core, where the rows lie on disk."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator
from types import TracebackType

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.corpus.cores import usable_cores
from asr_gate.corpus.dealt import big_file_folder
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.helper import command
from asr_gate.corpus.rows import Rows
from asr_gate.corpus.utterance import Corpus

FEW = 200_000
"""Rows. Those of a smaller corpus are looked at in less time than a process takes to start."""


def pays(context: Context) -> bool:
    """Whether another process would save time."""
    rows = context.corpus.utterances
    return isinstance(rows, Rows) and len(rows) >= FEW and usable_cores() > 1


class Apart:
    """A process that runs some rules from now on; what it finds is asked for by rule.

    What it is given and what it finds are lines of JSON. It ends with this one.
    """

    def __init__(self, rules: Collection[Rule], context: Context) -> None:
        """Start it, with rules that look at texts alone."""
        rows = context.corpus.utterances
        assert isinstance(rows, Rows)
        file, known = rows.handed()
        self._written = tempfile.TemporaryFile(dir=big_file_folder())  # noqa: SIM115
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command("from asr_gate.audit.checks.apart import serve; serve()"),
            stdin=subprocess.PIPE,
            stdout=self._written,
            stderr=self._said,
            pass_fds=[file],
            # Ctrl-C is for the audit, which ends this process by closing its input.
            start_new_session=True,
        )
        self._codes = [rule.code for rule in rules]
        request = {
            "codes": self._codes,
            "policy": context.policy.model_dump(mode="json"),
            "language": context.language,
            "file": file,
            "rows": known,
        }
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `found` says how it ended
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def found(self, code: str) -> Iterator[Found]:
        """What one rule found, when all are done.

        Raises:
            UserError: the process was ended.
        """
        if (ended := self._process.wait()) != 0:
            self._said.seek(0)
            last = self._said.read().decode(errors="replace").strip().rpartition("\n")[2]
            why = last or f"ended by signal {-ended}; is memory short?"
            raise UserError(f"the rules for texts ({', '.join(self._codes)}): {why}; run it again")
        self._written.seek(0)
        for line in self._written:
            of, *what = json.loads(line)
            if of == code:
                yield Found(*what)

    def __enter__(self) -> Apart:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._written.close()
        self._said.close()
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()


def serve() -> None:
    """Run the rules that standard input names, and write what they find to standard output."""
    from asr_gate.audit.checks import RULES
    from asr_gate.audit.policy import Policy
    from asr_gate.audit.records.power import Calibration

    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    context = Context(
        policy=Policy.model_validate(request["policy"]),
        content={},
        language=request["language"],
        calibration=Calibration({}, {}, {}),
        absolute_thresholds={},
        corpus=Corpus(Rows.received(request["file"], request["rows"]), []),
    )
    for rule in RULES:
        if rule.code in request["codes"]:
            for found in rule.find([], context):
                sys.stdout.write(json.dumps([rule.code, *found]) + "\n")


def _end_with_input() -> None:
    """End when the audit does, however that ends."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
