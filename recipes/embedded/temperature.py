"""The temperature that the model's posteriors are divided by before an audit reads them.

A small model is right more often than it is sure. Temperature scaling (Guo et al. 2017,
arXiv:1706.04599) moves its posteriors to where the default policy's thresholds decide best between
the right and a wrong transcript, on a voice that no training has heard.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import align, prepare
from asr_gate.audit.align.coverage import coverage
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.alignment import Alignment
from asr_gate.corpus.text.letters import spell
from asr_gate.embedded.encoding import SAMPLE_RATE, STRIDE_SECONDS
from recipes.embedded.language import Language

TEMPERATURES = [round(0.7 + 0.1 * step, 1) for step in range(34)]


def best_temperature(
    log_probs: Sequence[Tensor], texts: Sequence[str], language: Language
) -> float:
    """Where the sum of both error rates is least: right texts condemned, wrong ones passed.

    Args:
        log_probs: one emission an utterance, shape (frames, tokens).
        texts: what is said; the wrong text of an utterance is that of the next.
        language: theirs.
    """
    tokens = language.tokens
    base = ModelInfo(
        name="embedded",
        revision="",
        weights_sha256="",
        language=language.code,
        tokens=tokens,
        blank=0,
        space=tokens.index(" "),
        stride=STRIDE_SECONDS,
        sample_rate=SAMPLE_RATE,
        delay=0.0,
    )
    wrong = [*texts[1:], *texts[:1]]
    costs = []
    for temperature in TEMPERATURES:
        info = replace(base, temperature=temperature)
        scaled = [(e / temperature).log_softmax(-1).numpy() for e in log_probs]
        excluded = [_is_low_quality(e, t, info) for e, t in zip(scaled, texts, strict=True)]
        passed = [not _is_low_quality(e, t, info) for e, t in zip(scaled, wrong, strict=True)]
        costs.append(np.mean(excluded) + np.mean(passed))
    # Of several that are equally good, the middle one is furthest from being wrong.
    best = np.flatnonzero(np.isclose(costs, min(costs)))
    return TEMPERATURES[int(best[len(best) // 2])]


def _is_low_quality(emission: np.ndarray, text: str, info: ModelInfo) -> bool:
    policy = load_policy().quality
    aligned = align(prepare(emission, info), spell(text, frozenset(info.tokens[1:-1])), info)
    if not isinstance(aligned, Alignment):
        return True
    # The training set keeps features and no sound: speech coverage is left out.
    found = coverage(aligned.words, (), ())
    return found.text < policy.min_coverage or found.confidence < policy.min_confidence
