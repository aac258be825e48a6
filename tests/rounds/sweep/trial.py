"""`asr sweep trial FOLDER --key=value …` over a stub in place of trainings."""

from __future__ import annotations

import sys

from asr_gate.rounds.sweep.server import run_trial
from asr_gate.rounds.sweep.sweep import Sweep
from tests.rounds.sweep.support import STUB

assert sys.argv[1:3] == ["sweep", "trial"]
folder, *values = sys.argv[3:]
run_trial(Sweep.from_yaml(folder, asr=STUB, flags=["--wandb"]), values)
