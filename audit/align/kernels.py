"""The lattice's inner loops, compiled by numba; `lattice.py` says what they compute.

All scores are natural logarithms relative to the best token of their frame, so that a path that
follows the greedy output scores 0. State of one frame, one row an array:

- `letters` (tokens,): the path is at token j;
- `blanks` (tokens + 1,): the path is at the blank before token j (the last one: after all tokens);
- `speech` (words + 1,): the path is in speech that nobody claims, in the gap before word i;
- `skipped` (words + 1,): word i - 1 was just left out and word i may start with the next frame.

Row r of a block that starts at frame t0 holds the state after frame t0 - 1 + r; row 0 of the first
block is the start, before any frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

NEVER = np.float32(-np.inf)
KEEP, SKIP, REPLACE, SPEECH = 0, 1, 2, 3
"""Rows of `best` in `backward`: best path that says word i, leaves it out, has other speech in its
place, has unclaimed speech in the gap before it and says it."""


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled once a machine; holds no interpreter lock. No NaN can arise: nothing is +inf."""
    compile_it = numba.njit(nogil=True, cache=True, fastmath={"nnan", "nsz"}, error_model="numpy")
    return cast(Callable[..., Any], compile_it(function))


@numba.njit(inline="always")
def _max(a, b):
    """Without the care for NaN that the built-in takes."""
    return a if a > b else b


@numba.njit(inline="always")
def _ended(letters, blanks, last, spaced, i, start):
    """Best score of having ended word i - 1 and not begun word i, without unclaimed speech."""
    if i == 0:
        return np.float32(0.0) if start else blanks[0]
    q = last[i - 1]
    best = _max(letters[q], blanks[q + 1])
    if spaced[i]:
        best = _max(best, _max(letters[q + 1], blanks[q + 2]))
    return best


@_compiled
def forward(
    scores, onsets, tokens, repeat, first, last, spaced, prices, arcs, begin,
    letters, blanks, speech, skipped,
):  # fmt: skip
    """Fill rows 1 to n of one block from its row 0; `scores` and `onsets` are the block's frames.

    Where `arcs` is false, unclaimed speech is scored beside the strict path and never leads back
    into it: one arc at a time, for `backward` to join.
    """
    skip, replace, enter, onset = prices
    count, words, blank = len(tokens), len(first), scores.shape[1] - 1
    emitted = np.empty(count, np.float32)
    if begin:
        letters[0, :] = NEVER
        blanks[0, :] = NEVER
        speech[0, :] = NEVER
        skipped[0, :] = NEVER
        if arcs:
            for i in range(words):
                skipped[0, i + 1] = -skip * np.float32(i + 1)
    for r in range(1, len(scores) + 1):
        frame = scores[r - 1]
        start = begin and r == 1
        old_l, old_b, new_l, new_b = letters[r - 1], blanks[r - 1], letters[r], blanks[r]
        for j in range(count):
            emitted[j] = frame[tokens[j]]
        silence = frame[blank]
        new_b[0] = silence if start else old_b[0] + silence
        for j in range(1, count + 1):
            stay, come = old_b[j], old_l[j - 1]
            new_b[j] = (stay if stay > come else come) + silence
        stay, come = old_l[0], old_b[0]
        new_l[0] = emitted[0] if start else (stay if stay > come else come) + emitted[0]
        for j in range(1, count):
            stay, come, jump = old_l[j], old_b[j], old_l[j - 1] + repeat[j]
            best = stay if stay > come else come
            new_l[j] = (best if best > jump else jump) + emitted[j]
        price = onset * onsets[r - 1]
        old_s, new_s, old_k, new_k = speech[r - 1], speech[r], skipped[r - 1], skipped[r]
        for i in range(words + 1):
            came = _ended(old_l, old_b, last, spaced, i, start) - enter
            new_s[i] = _max(old_s[i], came) - price
        if not arcs:
            continue
        for i in range(words):
            j = first[i]
            new_l[j] = _max(new_l[j], _max(old_s[i], old_k[i]) + emitted[j])
        chain = NEVER
        new_k[0] = NEVER
        for i in range(words):
            left = _max(_ended(new_l, new_b, last, spaced, i, False), chain) - skip
            chain = _max(left, new_s[i] - replace)
            new_k[i + 1] = chain


@_compiled
def backward(
    scores, onsets, tokens, repeat, first, last, spaced, prices, arcs, begin, end,
    letters, blanks, speech, skipped, to_letters, to_blanks, to_speech, best,
):  # fmt: skip
    """Go back through one block, joining its forward rows with the best ways to the end.

    Args:
        begin, end: whether the block holds the first frame, the last one.
        to_letters, to_blanks, to_speech: best scores from each state after the block's last frame
            to the end (ignored where `end`); on return those after the frame before the block.
        best: shape (4, words + 1), raised where this block knows a better path; entry `words` of
            its rows KEEP and SPEECH is the gap after the last word.
    """
    skip, replace, enter, onset = prices
    count, words, blank = len(tokens), len(first), scores.shape[1] - 1
    emitted = np.empty(count, np.float32)
    begun = np.empty(words + 1, np.float32)  # word i starts with the next frame
    ready = np.empty(words + 1, np.float32)  # word i starts with the next frame, or is left out too
    spoken = np.empty(
        words + 1, np.float32
    )  # unclaimed speech in gap i goes on with the next frame
    for r in range(len(scores), -1, -1):
        last_frame = end and r == len(scores)
        start = begin and r == 0
        if last_frame:
            to_letters[:] = NEVER
            to_blanks[:] = NEVER
            to_speech[:] = NEVER
            begun[:] = NEVER
            spoken[:] = NEVER
            to_letters[count - 1] = 0.0
            to_blanks[count] = 0.0
            ready[words] = 0.0
            begun[words] = 0.0
        else:
            if r == len(scores):
                continue  # the first row of the block behind this one: joined there
            frame = scores[r]
            for j in range(count):
                emitted[j] = frame[tokens[j]] + to_letters[j]
            silence = frame[blank]
            for j in range(count - 1):
                stay, go, jump = (
                    emitted[j],
                    silence + to_blanks[j + 1],
                    emitted[j + 1] + repeat[j + 1],
                )
                move = stay if stay > go else go
                to_letters[j] = move if move > jump else jump
            to_letters[count - 1] = _max(emitted[count - 1], silence + to_blanks[count])
            for j in range(count):
                stay, go = silence + to_blanks[j], emitted[j]
                to_blanks[j] = stay if stay > go else go
            to_blanks[count] = silence + to_blanks[count]
            for i in range(words):
                begun[i] = emitted[first[i]]
            begun[words] = NEVER
            ready[words] = NEVER
            price = onset * onsets[r]
            for i in range(words + 1):
                spoken[i] = to_speech[i] - price
        for i in range(words - 1, -1, -1):
            ready[i] = _max(begun[i], ready[i + 1] - skip) if arcs else begun[i]
        if not arcs:
            ready[words] = begun[words]
        row_l, row_b, row_s, row_k = letters[r], blanks[r], speech[r], skipped[r]
        for i in range(words + 1):
            ended = _ended(row_l, row_b, last, spaced, i, start)
            after = row_s[i]
            if arcs:
                away = spoken[i] - enter
                leave = _max(spoken[i], begun[i])
                if i < words:
                    away = _max(away, ready[i + 1] - skip)
                    leave = _max(leave, ready[i + 1] - replace)
                elif last_frame:
                    away = _max(away, np.float32(0.0))
                to_speech[i] = leave
                if i == 0:
                    to_blanks[0] = _max(to_blanks[0], away)
                else:
                    q = last[i - 1]
                    to_letters[q] = _max(to_letters[q], away)
                    to_blanks[q + 1] = _max(to_blanks[q + 1], away)
                    if spaced[i]:
                        to_letters[q + 1] = _max(to_letters[q + 1], away)
                        to_blanks[q + 2] = _max(to_blanks[q + 2], away)
            chain = row_k[i] if arcs else NEVER
            best[SPEECH, i] = _max(best[SPEECH, i], after + begun[i])
            if i == words:
                if last_frame:
                    best[KEEP, i] = _max(best[KEEP, i], _max(ended, chain))
                continue
            j = first[i]
            arrive = np.float32(0.0) if start and i == 0 else row_b[j]
            if j > 0:
                arrive = _max(arrive, row_l[j - 1] + repeat[j])
            best[KEEP, i] = _max(best[KEEP, i], _max(arrive, chain) + begun[i])
            best[SKIP, i] = _max(best[SKIP, i], _max(ended, chain) - skip + ready[i + 1])
            best[REPLACE, i] = _max(best[REPLACE, i], after - replace + ready[i + 1])


@_compiled
def _ended_state(letters, blanks, last, spaced, i):
    """The state that `_ended` found best, after the first frame."""
    if i == 0:
        return 0
    q = last[i - 1]
    best = _ended(letters, blanks, last, spaced, i, False)
    if blanks[q + 1] == best:
        return 2 * (q + 1)
    if letters[q] == best:
        return 2 * q + 1
    if blanks[q + 2] == best:
        return 2 * (q + 2)
    return 2 * (q + 1) + 1


@_compiled
def _state_before_skips(
    letters, blanks, speech, skipped, last, spaced, skip, replace, i
):  # fmt: skip
    """The state from which word i - 1 was left out, and maybe others before it."""
    while True:
        i -= 1
        ended = _ended(letters, blanks, last, spaced, i, False)
        if speech[i] - replace > _max(ended, skipped[i]) - skip:
            return 2 * len(letters) + 1 + i
        if ended >= skipped[i]:
            return _ended_state(letters, blanks, last, spaced, i)


@_compiled
def end_state(
    letters, blanks, speech, skipped, last, spaced, prices, arcs
):  # fmt: skip
    """The state of the best path after the last frame; see `trace`."""
    count, words = len(letters), len(last)
    if arcs:
        ended = _ended(letters, blanks, last, spaced, words, False)
        if speech[words] > _max(ended, skipped[words]):
            return 2 * count + 1 + words
        if skipped[words] > ended:
            return _state_before_skips(
                letters, blanks, speech, skipped, last, spaced, prices[0], prices[1], words
            )
    return 2 * count if blanks[count] > letters[count - 1] else 2 * count - 1


@_compiled
def trace(
    scores, tokens, repeat, first, last, spaced, prices, arcs, begin, state,
    letters, blanks, speech, skipped, path,
):  # fmt: skip
    """Walk the best path back through one block.

    States are numbered: 2 j the blank before token j, 2 j + 1 token j, and 2 tokens + 1 + i the
    unclaimed speech in gap i.

    Args:
        state: after the block's last frame.
        path: shape (frames,), filled with the state of each frame of the block.

    Returns:
        The state after the frame before the block (of the first block: nothing that means a thing).
    """
    skip, replace, enter, _ = prices
    count, words = len(tokens), len(first)
    word_of = np.full(count, -1, np.int64)
    for i in range(words):
        word_of[first[i]] = i
    for r in range(len(scores), 0, -1):
        path[r - 1] = state
        if begin and r == 1:
            break
        row_l, row_b, row_s, row_k = letters[r - 1], blanks[r - 1], speech[r - 1], skipped[r - 1]
        if state > 2 * count:
            i = state - 2 * count - 1
            # On a tie the speech begins as late as it can.
            if _ended(row_l, row_b, last, spaced, i, False) - enter >= row_s[i]:
                state = _ended_state(row_l, row_b, last, spaced, i)
        elif state % 2 == 0:
            j = state // 2
            if j > 0 and row_l[j - 1] > row_b[j]:
                state -= 1
        else:
            j = state // 2
            stay, come = row_l[j], row_b[j]
            jump = row_l[j - 1] + repeat[j] if j > 0 else NEVER
            i = word_of[j]
            if arcs and i >= 0 and _max(row_s[i], row_k[i]) > _max(stay, _max(come, jump)):
                if row_s[i] >= row_k[i]:
                    state = 2 * count + 1 + i
                else:
                    state = _state_before_skips(
                        row_l, row_b, row_s, row_k, last, spaced, skip, replace, i
                    )
            elif jump > come and jump > stay:
                state -= 2
            elif come > stay and come > jump:
                state -= 1
    return state
