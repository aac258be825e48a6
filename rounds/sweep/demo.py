"""`asr sweep demo`: a whole sweep on the bundled corpus, with real trainings, by two agents.

The recipe trains a new output layer on the embedded network, with a learning rate that is too low
for that: its model writes hardly a word. The sweep finds a rate and a number of epochs with which
it does. No row that confirms this has a part in any trial, but the synthetic voices are the same.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from asr_gate.audit import example
from asr_gate.corpus.errors import UserError
from asr_gate.rounds.sweep.admission import ADMISSION_FILE
from asr_gate.rounds.sweep.folder import SWEEP_FILE
from asr_gate.train.files import write_file
from asr_gate.train.launch import COMMAND
from asr_gate.train.signals import die_with_parent

MARK = ".demo"
"""Says that a folder is ours, from the first moment on."""
MANIFEST = "corpus/rows.jsonl"
FOLDER = "sweeps/sweep"
REPORT = "reports/phase0/alignment_report.json"
REFINED = "refined.yaml"
LOG = "demo.log"
"""What the commands say on standard error."""
DECIDED = ("PROCEED", "CAUTION", "STOP", "Report:")
AT_WORK = ("trial ", "the recipe ", "another process ")
"""How the lines begin that the demo tells of an audit, and of agents: what they end with is what
`asr sweep best` says."""
LONG = "long_tail"
LONG_ROWS = 7
SPLITS = ("train", "train", "validation", "train", "train", "test")
"""Of the short rows, in turn. The long ones confirm: they have many words."""

RECIPE = """\
# The embedded network with a new output layer (start). The rate is too low for that.
model:
  family: ctc-embedded
  pretrained: start
  strength: 0.0
phases:
  - name: letters
    epochs: [1, 2]
    groups:
      - name: top
        learning_rate: 5.0e-3
        parameters: ["up.*", "last.*", "output.*"]
data:
  language: English
  max_seconds: 60.0
  max_tokens: 4096
  batch_seconds: 8.0
  augment:
    spec_augment: {}
optimizer:
  warmup: 0.05
checkpoints:
  keep: 1
  best: 1
threads: 1
"""

AUDIT = ["audit", MANIFEST, "--aligner", "embedded", "--fraction", "1", "--controls", "0"]
INIT = ["sweep", "init", "recipe.yaml", "--data", MANIFEST, "--accept-caution"]
AGENTS = (["sweep", "run", SWEEP_FILE], ["sweep", "agent", FOLDER])
BEST = ["sweep", "best", FOLDER]
REFINE = ["sweep", "refine", FOLDER, "--file", REFINED]

Say = Callable[[str], None]


def demo(folder: Path, say: Say, asr: Sequence[str] = COMMAND) -> int:
    """Do what is not done yet.

    Args:
        folder: a new one, or that of a demo that was interrupted.
        say: is told the commands and what they print, a line each.
        asr: the command.

    Returns:
        The exit code of `asr sweep best`: 0 if the best trial is better than the recipe.

    Raises:
        UserError: the folder holds something else, or a command failed.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UserError(f"{folder}: holds something else; name a new folder")
    write_file(folder / MARK, b"made by asr sweep demo\n")
    prepare(folder)
    commands = _Commands(folder, say, asr)
    if not (folder / REPORT).exists():
        begun = (folder / LOG).exists()
        commands.run([*AUDIT, *["--resume"] * begun], refusals=(10,), only=DECIDED)
    if not (folder / SWEEP_FILE).exists():
        commands.run(INIT)
    commands.run_together()
    code = commands.run(BEST, refusals=(20, 30))
    if not (folder / REFINED).exists():
        commands.run(REFINE)
    return code


def prepare(folder: Path) -> None:
    """Copy audio, and write the manifest, the recipe and the model to begin with."""
    source = copy_audio(folder)
    rows = [json.loads(line) for line in (source / "proceed.jsonl").read_text().splitlines()]
    short = [row for row in rows if row["domain"] != LONG]
    long = [row for row in rows if row["domain"] == LONG][:LONG_ROWS]
    given = [row | {"split": SPLITS[at % len(SPLITS)]} for at, row in enumerate(short)]
    given += [row | {"split": "test"} for row in long]
    write_file(folder / MANIFEST, "".join(json.dumps(row) + "\n" for row in given).encode())
    write_file(folder / "recipe.yaml", RECIPE.encode())
    write_start(folder / "start")


def copy_audio(folder: Path) -> Path:
    """Put the audio of the bundled corpus into a demo, what is not there yet; where it lies."""
    source = Path(example.__file__).parent
    for path in sorted((source / "audio").iterdir()):
        target = folder / "corpus" / "audio" / path.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return source


def write_start(folder: Path) -> None:
    """The embedded model with a new output layer, drawn at random; whole or not at all."""
    if folder.exists():
        return
    import torch

    from asr_gate.train.families.registry import family

    ours = family("ctc-embedded")
    net: Any = ours.load("embedded")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net.output.reset_parameters()
    part = folder.with_name(f".{folder.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    ours.save(part, net, ours.open("embedded").processor, weights=None, dtype=torch.float32)
    part.rename(folder)


class _Commands:
    """Runs `asr` in the folder of the demo, and tells what it prints."""

    def __init__(self, folder: Path, say: Say, asr: Sequence[str]) -> None:
        self.folder = folder
        self.say = say
        self.asr = asr

    def run(
        self, words: Sequence[str], refusals: Sequence[int] = (), only: tuple[str, ...] = ("",)
    ) -> int:
        """One command; its exit code, 0 or one of `refusals`.

        Args:
            words: after `asr`.
            refusals: exit codes that are no failure.
            only: how the lines begin that are told.

        Raises:
            UserError: it failed.
        """
        self.say(f"$ asr {' '.join(words)}")
        process = self._start(words)
        with _ending([process]):
            self._tell(process, only)
        return self._ended(words, process, refusals)

    def run_together(self) -> None:
        """The agents, the second one as soon as the first has passed the gate."""
        running: list[subprocess.Popen[str]] = []
        listening: list[threading.Thread] = []
        with _ending(running):
            for number, words in enumerate(AGENTS, start=1):
                while number > 1 and not (self.folder / FOLDER / ADMISSION_FILE).exists():
                    if running[0].poll() is not None:
                        break
                    time.sleep(0.1)
                self.say(f"$ asr {' '.join(words)}{' &' if number < len(AGENTS) else ''}")
                running.append(self._start(words))
                told = partial(self._tell, running[-1], AT_WORK, f"[{number}] ")
                listening.append(threading.Thread(target=told, daemon=True))
                listening[-1].start()
            for one in listening:
                while one.is_alive():
                    one.join(0.5)
        for words, process in zip(AGENTS, running, strict=True):
            self._ended(words, process, ())

    def _start(self, words: Sequence[str]) -> subprocess.Popen[str]:
        with (self.folder / LOG).open("a") as log:
            return subprocess.Popen(
                [*self.asr, *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                process_group=0,  # a terminal's Ctrl-C is for the demo, which ends them
                preexec_fn=partial(die_with_parent, signal.SIGTERM),
            )

    def _tell(self, process: subprocess.Popen[str], only: tuple[str, ...], mark: str = "") -> None:
        assert process.stdout is not None
        for line in map(str.strip, process.stdout):
            if line and line.startswith(only):
                self.say(mark + line)

    def _ended(
        self, words: Sequence[str], process: subprocess.Popen[str], refusals: Sequence[int]
    ) -> int:
        code = process.wait()
        if code not in (0, *refusals):
            lines = (self.folder / LOG).read_text(errors="replace").splitlines()
            last = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
            said = last.strip().removeprefix("asr: ")
            raise UserError(f"asr {' '.join(words)}: {said}; after that the same command goes on")
        return code


@contextmanager
def _ending(processes: list[subprocess.Popen[str]]) -> Iterator[None]:
    """End them in good order, if the demo is interrupted."""
    try:
        yield
    except BaseException:
        for one in processes:
            one.terminate()
        for one in processes:
            one.wait()
        raise
