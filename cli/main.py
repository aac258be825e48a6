"""The `asr` command and what all its commands share: errors in one line, exit codes."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import click

from asr_gate.corpus.text.plain import plain

# Each command's module is loaded only when it is called: help and the gate never load torch.
COMMANDS = {
    "audit": "Audit a corpus: align a sample, estimate, decide, write the report.",
    "gate": "Read a report's verdict back as an exit code.",
    "clean": "Write a corpus less what its audit condemned.",
    "sign": "Sign a report.",
    "policy": "Show and check policies.",
    "rules": "List the rules.",
    "explain": "Say what a rule finds, and how to mend it.",
    "train": "Train from a verified report, or refuse.",
    "eval": "Score a checkpoint on manifests, or compare two such results.",
    "config": "Show every value in force, and where it comes from.",
    "sync": "Send runs to W&B that were made offline or not sent whole.",
    "link": "Draw W&B's lineage from a training to its audit.",
}

# The extra that brings each module which a command may find missing in a core install.
EXTRA_OF = dict.fromkeys(
    (
        "datasets",
        "datasketch",
        "lhotse",
        "matplotlib",
        "numpy",
        "onnxruntime",
        "psutil",
        "py3langid",
        "pyarrow",
        "regex",
        "safetensors",
        "scipy",
        "soundfile",
        "soxr",
        "tensorboard",
        "torch",
        "torchaudio",
        "transformers",
        "uroman",
        "yaml",
    ),
    "align",
) | {
    "cryptography": "sign",
    "jiwer": "train",
    "omegaconf": "train",
    "peft": "train",
    "pythonjsonlogger": "train",
    "securesystemslib": "sign",
}


class _Debug:
    """Whether `--debug` was given, wherever on the command line."""

    on = False


def _switch_on(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    _Debug.on = _Debug.on or value


def debug_option(command: Any) -> Any:
    """`--debug`, which every command has."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=_switch_on, help="Show tracebacks."
    )(command)


class _Lazy(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"asr_gate.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


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
    2 bad usage or input, 1 a fault of ours, 130 interrupted.
    """


def main() -> None:
    """Run the command line; every error of the user's is one line and an exit code."""
    # A stop that a job's scheduler asks for ends as Ctrl-C does: what is done is kept, and said.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Where nobody listens at all, there is still an exit code.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know ASCII only
    try:
        code = group.main(prog_name="asr", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 2
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        name = context.command_path if context else "asr"
        line = plain(" ".join(error.format_message().split()).rstrip("."))
        click.echo(f"asr: {line}; see {name} --help", err=True)
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("asr: interrupted", err=True)
        code = 130
    # The one place that catches everything: what it is decides the exit code.
    except Exception as error:  # noqa: BLE001
        if _Debug.on:
            traceback.print_exc()
        try:
            code = _report(error)
        except OSError:  # nobody takes what is said
            code = getattr(error, "exit_code", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: Exception) -> int:
    """Print an error as one line; its exit code."""
    line = plain(str(error))
    # Errors of ours carry the exit code of the contract.
    code: Any = getattr(error, "exit_code", None)
    if isinstance(code, int):
        click.echo(f"asr: {line}", err=True)
        return code
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        click.echo(
            "asr: disk full: free some space and run again "
            "(asr audit goes on where it was with --resume)",
            err=True,
        )
        return 2
    if isinstance(error, OSError) and error.filename is not None:
        name = plain(str(error.filename))
        click.echo(f"asr: {name}: {error.strerror}; check path and permissions", err=True)
        return 2
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRA_OF:
        trains = {"train", "eval"} & set(sys.argv[1:])
        mend = f"pip install 'asr-gate[{'train' if trains else EXTRA_OF[error.name]}]'"
        click.echo(f"asr: {error.name} is not installed: this command needs {mend}", err=True)
        return 2
    hint = "" if _Debug.on else " (--debug shows where)"
    click.echo(f"asr: a fault of ours: {type(error).__name__}: {line}{hint}", err=True)
    return 1


def show(printing: Callable[[], None]) -> None:
    """Print a result; where nobody takes it, the exit code still says what it says."""
    try:
        printing()
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # `asr … | head` is no accident
            click.echo(f"asr: the result could not be printed ({error.strerror})", err=True)
