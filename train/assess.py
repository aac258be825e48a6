"""A checkpoint on manifests: what `asr eval` calls."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import LONGEST
from asr_gate.corpus.utterance import Corpus, Seconds
from asr_gate.train import recipe, results
from asr_gate.train.data import Refused, Row, to_row
from asr_gate.train.distributed import Ranks, choose_device
from asr_gate.train.results import NotEvaluated, Rates, Result
from asr_gate.train.run import claim

if TYPE_CHECKING:
    from asr_gate.train.scoring import Scores

EVALS = Path("evals")
"""Where results land unless the caller names a place."""

MAX_NEW_TOKENS = 448
"""Longest transcript of a row of up to 28 seconds."""

TOKENS_PER_SECOND = 16.0
"""Of longer rows; more than anybody says: five words a second of three tokens each."""


class Progress(Protocol):
    """Shown to whoever waits."""

    def start(self, total: int, done: int) -> None:
        """So many rows are evaluated."""

    def advance(self, utterances: int, seconds: Seconds) -> None:
        """So many more rows and seconds of audio are done."""


def assess(
    checkpoint: str,
    manifests: Sequence[str | Path],
    *,
    audio_root: Path | None = None,
    split: str | None = None,
    language: str | None = None,
    out: Path | None = None,
    batch_seconds: Seconds = 60.0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    progress: Progress | None = None,
) -> tuple[Result, Path]:
    """Transcribe the rows of manifests with a checkpoint, score them, and write the result.

    Args:
        checkpoint: folder or hub id, of either layout.
        manifests: see `corpus.read.read_corpus`, `audio_root` and `split` too.
        language: of the rows whose manifest names none; code or English name.
        out: result file (`.json`), or a folder for it; None: a new one under `evals/`. What stands
            there is replaced.
        batch_seconds: padded audio in one batch.

    Returns:
        The result, and the file that it was written to.

    Raises:
        UserError: no such manifest, checkpoint, device or language; not one row could be
            evaluated; nothing can be written there; a batch does not fit the memory.
    """
    if not 0 < batch_seconds < math.inf:
        raise UserError(f"--batch-seconds {batch_seconds:g}: is no length; say e.g. 60")
    corpus = read_corpus(manifests, audio_root=audio_root, split=split)
    _require_language(corpus, language)
    import torch
    from transformers.utils import logging as transformers_logging

    from asr_gate.train.evaluate import evaluate
    from asr_gate.train.examples import Encoder
    from asr_gate.train.model import load_config, load_pretrained, load_processor

    transformers_logging.disable_progress_bar()
    place = choose_device(device, Ranks(), "--device ")
    config = load_config(checkpoint, None)
    settings = recipe.Data(
        language=language,
        max_seconds=LONGEST,
        max_tokens=config.get_text_config().max_position_embeddings,
        batch_seconds=batch_seconds,
        cache_gib=0,
    )
    rows, refused = _rows(corpus, settings)
    if not rows:
        raise _nothing(manifests, refused)
    encoder = Encoder(load_processor(checkpoint, None), settings)
    path = _place(out, checkpoint)
    model = load_pretrained(checkpoint, None, untie=False).to(place)
    began = time.monotonic()
    if progress is not None:
        progress.start(len(rows), 0)
    try:
        found = evaluate(
            model,
            encoder,
            rows,
            batch_seconds=batch_seconds,
            max_new_tokens=MAX_NEW_TOKENS,
            tokens_per_second=TOKENS_PER_SECOND,
            device=place,
            advance=partial(_advance, progress),
        )
    except torch.OutOfMemoryError as error:
        longest = max(rows, key=lambda row: row.seconds)
        raise UserError(
            f"out of memory: lower --batch-seconds (now {batch_seconds:g}), or leave out the "
            f"longest rows ({longest.utterance.origin}: {longest.seconds:.0f} s)"
        ) from error
    wall = time.monotonic() - began
    unread = (
        [one for row in rows if isinstance(one := encoder.read(row), Refused)]
        if found is None
        else found.refused
    )
    refused += [NotEvaluated(**asdict(one)) for one in unread]
    if found is None:
        if out is None:
            path.parent.rmdir()  # made for this result alone
        raise _nothing(manifests, refused)
    result = Result(
        checkpoint=checkpoint,
        manifests=list(map(str, manifests)),
        split=split,
        overall=_rates(found.scores, found.loss),
        domains={name: _rates(one, found.losses[name]) for name, one in found.domains.items()},
        unfinished=sum(not one.finished for one in found.predictions),
        not_evaluated=sorted(refused, key=lambda one: one.id),
        audio=sum(one.seconds for one in found.predictions),
        wall=wall,
        device=str(place),
        arithmetic="bfloat16" if place.type == "cuda" else "float32",
        batch_seconds=batch_seconds,
        max_new_tokens=MAX_NEW_TOKENS,
        predictions=results.write_predictions(path, [asdict(one) for one in found.predictions]),
        tool=version("asr-gate"),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    results.write_result(path, result)
    return result, path


def _require_language(corpus: Corpus, language: str | None) -> None:
    if language is None:
        for utterance in corpus.utterances:
            if utterance.lang is None:
                raise UserError(
                    f"{utterance.origin}: the row names no language; add a `lang` column, or say "
                    "--language for all rows without one"
                )


def _rows(corpus: Corpus, settings: recipe.Data) -> tuple[list[Row], list[NotEvaluated]]:
    rows: list[Row] = []
    refused = [
        NotEvaluated(id=row.id, rule="skipped", reason=f"{row.origin}: {row.reason}")
        for row in corpus.skipped
    ]
    for utterance in corpus.utterances:
        row = to_row(utterance, settings)
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
        f"{refused[0].id}: {refused[0].reason}); mend the rows, or name another manifest"
    )


def _place(out: Path | None, checkpoint: str) -> Path:
    """The result's file; its folder is made.

    Raises:
        UserError: nothing can be written there.
    """
    if out is None:
        # `runs/round2/final` → `round2-final`; `Qwen/Qwen3-ASR-1.7B-hf` → `Qwen-Qwen3-ASR-1.7B-hf`
        folder = Path(checkpoint)
        parts = (folder.resolve() if folder.is_dir() else folder).parts[-2:]
        return claim(EVALS / "-".join(part for part in parts if part != os.sep)) / results.FILE
    path = out if out.suffix == ".json" and not out.is_dir() else out / results.FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be made ({error.strerror})") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"--out {out}: cannot be written; name another place")
    return path


def _advance(progress: Progress | None, rows: Sequence[Row]) -> None:
    if progress is not None:
        progress.advance(len(rows), sum(row.seconds for row in rows))


def _rates(scores: Scores, loss: float) -> Rates:
    return Rates(
        loss=loss,
        wer=scores.wer,
        cer=scores.cer,
        utterances=scores.utterances,
        words=scores.words,
    )
