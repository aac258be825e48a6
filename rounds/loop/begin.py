"""The files that a project's first round needs, to be changed by hand."""

from __future__ import annotations

from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.train.files import write_file

SUITE_FILE = "suite.toml"

SETTINGS = """\
# What a round is made of: audit, sweep when due, training, evaluation, gate, promotion.
# Paths start from the folder of this file. Then: asr rounds run rounds.toml --dry-run

suite = "suite.toml"                  # what a model must reach to go into use
baseline = "embedded"                 # the first model is compared with this one, later ones
                                      # with the model in use
accept_caution = false                # true: go on even where an audit says CAUTION
# cases = "cases.sqlite3"             # what the models get wrong is added to this file

[data]
manifests = ["corpus/train.jsonl"]    # what is audited and trained on
# name = "train"                      # its versions are noted in datasets/NAME
# audio_root = "corpus"               # one more folder that audio may lie in
# split = "train"                     # only these rows of the manifests

[audit]                               # options of asr audit; docs/detection.md
aligner = "embedded"                  # English; "mms" for other languages
# language = "en"                     # of rows that name none
# policy = "policy.toml"
# fraction = 0.1                      # share of the rows that is measured

[train]
recipe = "ctc-embedded"               # English, on a processor; others: docs/training.md
overrides = ["seed=1"]                # as for asr train: KEY=VALUE

# [sweep]                             # without it there are no sweeps
# every_cases = 1000                  # new cases since the last sweep, until one is due
# trials = 5
# preset = "minimal"                  # or "finetuning"
# below = 0.95                        # share of the recipe's WER that the winner must be below
"""

SUITE = """\
# What a model is tested on, and what is asked of it. Paths start from the folder of this file.
# No recording of a test may be in the training data.

[data]
manifests = ["corpus/test.jsonl"]

[gain]
wer = 0.05                            # better than the model in use by 5 % of its WER

# [limits]
# wer = 0.2                           # highest WER
#
# [domains.phone]
# wer = 0.3                           # highest WER in one domain
#
# [[regression]]                      # rows that must be right, made by: asr cases export
# name = "names"
# manifests = ["regression/names.jsonl"]
# wer = 0.1
"""


def begin(path: Path) -> Path:
    """Write `rounds.toml` and a suite beside it.

    Returns:
        The suite's file.

    Raises:
        UserError: one of them is there already, or cannot be written.
    """
    suite = path.with_name(SUITE_FILE)
    for one in (path, suite):
        if one.exists():
            raise UserError(f"{one}: is there already; name another file, or delete it")
    write_file(suite, SUITE.encode())
    write_file(path, SETTINGS.encode())
    return suite
