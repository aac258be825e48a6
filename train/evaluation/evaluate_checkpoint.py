"""Evaluates a checkpoint on manifests, for `asr eval`."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from asr_gate.corpus.cores import usable_cores
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import LONGEST
from asr_gate.corpus.utterance import Corpus, Seconds
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row, to_row
from asr_gate.train.devices import choose_device
from asr_gate.train.distributed import Ranks, choose_threads
from asr_gate.train.evaluation.result_file import (
    RESULT_FILE,
    FiniteRates,
    NotEvaluated,
    Result,
    write_predictions,
    write_result,
)
from asr_gate.train.files import claim_folder, folder_digest
from asr_gate.train.plan import Refused
from asr_gate.train.record import Rates

if TYPE_CHECKING:
    from asr_gate.train.data.examples import Encoder

EVALS = Path("evals")
"""Default folder of results."""

MAX_NEW_TOKENS = 448
"""Longest transcript, in tokens, of a row of up to 28 seconds."""

BATCH_TOKENS = 4096
"""Padded tokens in one batch, so that many short rows do not fill the memory."""

TOKENS_PER_SECOND = 16.0
"""Limit for longer rows; more than anybody says: five words per second of three tokens each."""


class Progress(Protocol):
    """Progress for the user who waits."""

    def start(self, total: int, done: int) -> None:
        """The evaluation begins."""

    def advance(self, utterances: int, seconds: Seconds) -> None:
        """Some more rows are done, with so many seconds of audio."""


def evaluate_checkpoint(
    checkpoint: str,
    manifests: Sequence[str | Path],
    *,
    audio_root: Path | None = None,
    labels: Sequence[LabelRule] = (),
    split: str | None = None,
    language: str | None = None,
    origins: Collection[str] | None = None,
    out: Path | None = None,
    batch_seconds: Seconds = 60.0,
    numbers: recipes.Numbers = "spoken",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    progress: Progress | None = None,
) -> tuple[Result, Path]:
    """Transcribe the rows of manifests with a checkpoint, score them, and write the result.

    Args:
        checkpoint: folder or hub id.
        manifests: what is transcribed; see `corpus.read.read_corpus`.
        audio_root: see `corpus.read.read_corpus`.
        labels: see `corpus.read.read_corpus`.
        split: see `corpus.read.read_corpus`.
        language: language of the rows whose manifest names none; code or English name.
        origins: manifest and line of the rows that are wanted; None: all.
        out: result file (`.json`), or a folder for it; an existing result is replaced. None: a new
            folder under `evals/`.
        batch_seconds: padded audio in one batch.
        numbers: how numbers are compared.
        device: where the model runs.
        progress: is told how far the evaluation is.

    Returns:
        The result, and the file that holds it.

    Raises:
        UserError: no such manifest, checkpoint, device or language; not one row could be
            evaluated; `out` is not writable; a batch does not fit into memory.
    """
    if not 0 < batch_seconds < math.inf:
        raise UserError(f"--batch-seconds {batch_seconds:g}: not a length in seconds; use e.g. 60")
    corpus = read_corpus(manifests, audio_root=audio_root, split=split, labels=labels)
    if origins is not None:
        wanted = set(origins)
        rows_wanted = [row for row in corpus.utterances if row.origin in wanted]
        corpus = replace(corpus, utterances=rows_wanted, skipped=[])
    _require_language(corpus, language)
    from transformers.utils import logging as transformers_logging

    from asr_gate.train.evaluation.evaluate import evaluate
    from asr_gate.train.families.registry import family_of
    from asr_gate.train.model.parameter_groups import count_parameters

    transformers_logging.disable_progress_bar()
    chosen = choose_device(device, Ranks(), "--device ")
    family = family_of(checkpoint)
    source = family.open(checkpoint)
    settings = recipes.Data(
        language=language,
        max_seconds=LONGEST,
        max_tokens=source.most_tokens,
        batch_seconds=batch_seconds,
        cache_gib=0,
    )
    encoder = family.encoder(source, settings)
    rows, refused = _rows(corpus, settings, encoder)
    if not rows:
        raise _nothing(manifests, refused)
    path = _result_path(out, checkpoint)
    model = family.load(checkpoint).to(chosen)
    threads = choose_threads(None, chosen, count_parameters(model))
    began = time.monotonic()
    if progress is not None:
        progress.start(len(rows), 0)
    found = evaluate(
        family,
        model,
        encoder,
        rows,
        batch_seconds=batch_seconds,
        most_tokens=_most_tokens,
        device=chosen,
        memory_advice=f"lower --batch-seconds (now {batch_seconds:g}), or leave out these rows",
        numbers=numbers,
        workers=_workers(chosen.type),
        advance=partial(_advance, progress),
    )
    wall = time.monotonic() - began
    unread = (
        [one for row in rows if isinstance(one := encoder.read(row), Refused)]
        if found is None
        else found.refused
    )
    refused += [NotEvaluated(**asdict(one)) for one in unread]
    if found is None:
        if out is None:
            path.parent.rmdir()  # created for this result alone
        raise _nothing(manifests, refused)
    rates = found.rates()
    result = Result(
        checkpoint=checkpoint,
        checkpoint_sha256=folder_digest(Path(checkpoint)),
        manifests=list(map(str, manifests)),
        split=split,
        fingerprint=fingerprint(corpus).digest,
        overall=_finite(rates),
        domains={name: _finite(one) for name, one in rates.domains.items()},
        unfinished=found.unfinished(),
        not_evaluated=sorted(refused, key=lambda one: one.id),
        audio=sum(one.seconds for one in found.predictions),
        wall=wall,
        device=str(chosen),
        threads=threads,
        arithmetic="bfloat16" if chosen.type == "cuda" else "float32",
        batch_seconds=batch_seconds,
        max_new_tokens=MAX_NEW_TOKENS,
        numbers=numbers,
        predictions=write_predictions(path, [asdict(one) for one in found.predictions]),
        tool=version("asr-gate"),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_result(path, result)
    return result, path


def _require_language(corpus: Corpus, language: str | None) -> None:
    if language is None:
        for utterance in corpus.utterances:
            if utterance.lang is None:
                raise UserError(
                    f"{utterance.origin}: the row names no language; add a `lang` column, or give "
                    "--language for all rows without one"
                )


def _rows(
    corpus: Corpus, settings: recipes.Data, encoder: Encoder
) -> tuple[list[Row], list[NotEvaluated]]:
    rows: list[Row] = []
    refused = [
        NotEvaluated(id=row.id, rule="skipped", reason=f"{row.origin}: {row.reason}")
        for row in corpus.skipped
    ]
    for utterance in corpus.utterances:
        row = to_row(utterance, settings)
        row = encoder.admit(row) if isinstance(row, Row) else row
        if isinstance(row, Refused):
            refused.append(NotEvaluated(**asdict(row)))
        else:
            rows.append(row)
    return rows, refused


def _nothing(manifests: Sequence[str | Path], refused: Sequence[NotEvaluated]) -> UserError:
    rules = Counter(one.rule for one in refused)
    counted = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
    return UserError(
        f"{', '.join(map(str, manifests))}: not one row could be evaluated ({counted}; "
        f"{refused[0].id}: {refused[0].reason}); fix the rows, or name another manifest"
    )


def _result_path(out: Path | None, checkpoint: str) -> Path:
    """The result's file; its folder is created.

    Raises:
        UserError: nothing can be written there.
    """
    if out is None:
        # `runs/round2/final` → `round2-final`; `openai/small` → `openai-small`
        folder = Path(checkpoint)
        parts = (folder.resolve() if folder.is_dir() else folder).parts[-2:]
        name = "-".join(part for part in parts if part != os.sep)
        return claim_folder(EVALS / name) / RESULT_FILE
    path = out if out.suffix == ".json" and not out.is_dir() else out / RESULT_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be created ({error.strerror})") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"--out {out}: cannot be written; name another file or folder")
    return path


def _most_tokens(row: Row, reference: int) -> int:
    """Where the transcript of a row is cut off; the reference does not decide it."""
    return max(MAX_NEW_TOKENS, math.ceil(TOKENS_PER_SECOND * row.seconds))


def _workers(device: str) -> int:
    """Processes that read audio: a GPU must not wait, and a CPU has enough to do."""
    return min(4, usable_cores()) if device == "cuda" else 0


def _advance(progress: Progress | None, rows: Sequence[Row]) -> None:
    if progress is not None:
        progress.advance(len(rows), sum(row.seconds for row in rows))


def _finite(rates: Rates) -> FiniteRates:
    return FiniteRates(**{name: getattr(rates, name) for name in FiniteRates.model_fields})
