"""The `asr` command and what all its commands share: errors in one line, exit codes."""

from __future__ import annotations

import errno
import importlib
import io
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import FrameType
from typing import Any

import click

from asr_gate.cli.extras import extra_of
from asr_gate.corpus.text.plain import plain

# Each command's module is loaded only when it is called: help and the gate never load torch.
GROUPS = {
    "Data": {
        "audit": "Check a corpus: align a sample, estimate, decide, write the report.",
        "findings": "List the rows in which an audit found something, with file and line.",
        "review": "Listen to rows in a browser, judge them, and put that into the report.",
        "clean": "Write the corpus again without the utterances that its audit excluded.",
        "correct": "Write the corpus again with people's corrections.",
        "corrections": "Export rows to review to Label Studio or CSV, and import what comes back.",
        "report": "Export a report's tables, compare two, or log one to Weights & Biases.",
    },
    "Gate": {
        "gate": "Turn a report's decision into an exit code.",
        "sign": "Sign a report.",
        "policy": "Show and check policies.",
        "rules": "List the rules.",
        "explain": "Explain a rule: what it finds and how to fix it.",
        "bench-detection": "Measure what an aligner detects in a corpus: ROC, precision, recall.",
    },
    "Training": {
        "train": "Train on a corpus whose report allows it.",
        "eval": "Score a checkpoint on manifests, or compare results.",
        "transcribe": "Write down what a checkpoint hears in audio files.",
        "runs": "List audits, trainings and evaluations on this disk.",
    },
    "Rounds": {
        "rounds": "Audit, train, evaluate, gate and promote, each step once for what it was given.",
        "cases": "Collect what models get wrong, and make data of it.",
        "dataset": "Note what a dataset is now, as a version of it.",
        "sweep": "Look for the settings of a recipe that give the best model.",
        "model": "Decide whether a model is better than another one, and put it into use.",
    },
    "Setting up": {
        "init": "Look at the data and write asr.toml.",
        "config": "Show every setting in force and where it comes from.",
        "sync": "Send runs to W&B that were made offline or were not sent completely.",
        "link": "Link a training run in W&B to the audit that it rests on.",
    },
}
"""In the order of the work; a new command goes into one of them."""
TRAINS = {"cases", "eval", "model", "rounds", "sweep", "train", "transcribe"}
"""Those that need the extra `train`."""
COMMANDS = {name: said for group in GROUPS.values() for name, said in group.items()}


def debug_option(command: Any) -> Any:
    """`--debug`, which every command has; `main` looks for it itself, wherever it stands."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")(
        command
    )


class _Lazy(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"asr_gate.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("asr-gate"), prog_name="asr")
@debug_option
def group() -> None:
    """Decide whether a speech-recognition training set is fit to train on.

    \b
    Example:
      asr audit corpus/train.jsonl
      asr gate
      asr train round2 --data corpus/train.jsonl

    Exit codes: 0 PROCEED or success, 10 CAUTION not accepted, 20 STOP, 30 no verdict,
    2 bad usage or input, 1 an internal error, 130 interrupted.
    """


def main() -> None:
    """Run the command line; every error of the user's is one line and an exit code."""
    # A scheduler's request to stop ends as Ctrl-C does: what is done is kept, and a line says so.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # With both outputs closed there is still an exit code.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know ASCII only
    # Looked for here, so that it works before, between and after commands, and when one of them
    # cannot even be imported.
    debug = "--debug" in itertools.takewhile("--".__ne__, sys.argv[1:])
    try:
        code = group.main(prog_name="asr", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 2
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        name = context.command_path if context else "asr"
        line = plain(" ".join(error.format_message().split()).rstrip("."))
        _tell(f"{line}; see {name} --help")
        code = 2
    except (click.Abort, KeyboardInterrupt):
        _tell("interrupted")
        code = 130
    # The one place that catches everything: the exit code depends on what it is.
    except Exception as error:  # noqa: BLE001
        if debug:
            traceback.print_exc()
        try:
            code = _report(error, debug)
        except OSError:  # standard error is closed
            code = getattr(error, "exit_code", 1)
    code = code if isinstance(code, int) else 0
    if code:
        _leave_group(code)
    sys.exit(code)


def _tell(line: str) -> None:
    """Print why the command ends; of several processes that train together the first one does."""
    if "ASR_LAUNCH" in os.environ:
        from asr_gate.train.launch import first_to_end

        if not first_to_end(line):
            return
    click.echo(f"asr: {line}", err=True)


def _leave_group(code: int) -> None:
    """End at once if other processes train with this one; a tidy end could wait for them."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _report(error: Exception, debug: bool) -> int:
    """Print an error as one line; its exit code."""
    line = plain(str(error))
    if (mirror := sys.modules.get("asr_gate.corpus.mirror")) is not None:
        line = mirror.named(line)  # of a copy, where it was copied from
    # The project's own errors carry their exit code.
    code: Any = getattr(error, "exit_code", None)
    if isinstance(code, int):
        _tell(line)
        return code
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        _tell(
            "disk full: free some space and run the same command again "
            "(asr audit and asr train continue where they were with --resume)"
        )
        return 2
    if isinstance(error, OSError) and error.filename is not None:
        name = plain(str(error.filename))
        _tell(f"{name}: {error.strerror}; check path and permissions")
        return 2
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = error.name.partition(".")[0]
        if extra := extra_of(module):
            if {"cases", "eval", "model", "rounds", "sweep", "train", "transcribe"} & set(
                sys.argv[1:]
            ):
                extra = "train"  # which includes `align`
            _tell(
                f"{module} is not installed; install what this command needs: "
                f"pip install 'asr-gate[{extra}]'"
            )
            return 2
    hint = "" if debug else " (run it again with --debug for a traceback)"
    _tell(f"internal error: {type(error).__name__}: {line}{hint}")
    return 1


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Let only the first Ctrl-C or SIGTERM count: what is measured is being kept at the second.

    `timeout`, a shell's job control and hurried users send several.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(signum: int, frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    earlier = {number: signal.getsignal(number) for number in numbers}
    for number, handler in earlier.items():
        if handler is not signal.SIG_IGN:  # as `nohup` and `&` in a script ask for
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def show(printing: Callable[[], None]) -> None:
    """Print a result; if the output is closed, the exit code stays what it is."""
    try:
        printing()
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # `asr … | head` is no accident
            click.echo(f"asr: the result could not be printed ({error.strerror})", err=True)
