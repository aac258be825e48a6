"""The lattice's inner loops, compiled by numba; `lattice.py` says what they compute.

All scores are natural logarithms relative to the best token of their frame, so that a path that
follows the greedy output scores 0.

Row r of a block that starts at frame t0 holds the state after frame t0 - 1 + r; row 0 of the first
block is the start, before any frame.

Loops index the arrays in full, `letters[r, j]`: a view of a row is an object whose references are
counted, which costs more than a row's words, and keeps the loop from being vectorised. All kernels
lie in one file because numba's cache looks for changes in the file of the called kernel only.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numba
import numpy as np

from asr_gate.audit.align.arrays import (
    INSERT,
    KEEP,
    MINUS_INF,
    NOT_COMPUTED,
    REPLACE,
    SKIP,
    Arrays,
    Floats,
)
from asr_gate.corpus.compiled import compiled


class Forward(NamedTuple):
    """Best scores from the start to each state: one row a frame, or a single row."""

    letters: Floats
    """(tokens,): at token j."""
    blanks: Floats
    """(tokens + 1,): at the blank before token j; the last one: after all tokens."""
    unaligned: Floats
    """(words + 1,): in unaligned speech, in the gap before word i."""
    skipped: Floats
    """(words + 1,): word i - 1 was just left out and word i may start with the next frame."""
    ended: Floats
    """(words + 1,): word i - 1 was said to its end, and word i not begun: the best of its last
    token, the separator after it and the blanks behind these."""


class ToEnd(NamedTuple):
    """Best scores from each state to the end, for one frame."""

    letters: Floats
    blanks: Floats
    unaligned: Floats


_compiled = partial(compiled, fastmath={"nnan", "nsz"})
"""No NaN can arise: nothing is +inf."""


@numba.njit(inline="always")
def _max(a, b):
    """Without the care for NaN that the built-in takes."""
    return a if a > b else b


@_compiled
def forward(arrays, penalties, arcs, gaps, first_block, rows):
    """Fill rows 1 to n of one block from its row 0.

    Where `arcs` is false, unaligned speech is scored beside the plain path and never leads back
    into it: one arc at a time, for `backward` to join. That is done for `gaps` alone (from the
    first to before the second); with arcs all are needed.

    Args:
        arrays: `scores` and `onsets` are the block's frames.
        first_block: whether the block begins with the recording.
    """
    scores, onsets, tokens, repeat, first, last, close = arrays
    skip, replace, enter, onset = penalties
    letters, blanks, unaligned, skipped, ended = rows
    count, words, blank = len(tokens), len(first), scores.shape[1] - 1
    low, high = (0, words + 1) if arcs else gaps
    emitted = np.empty(count, np.float32)
    if first_block:
        letters[0, :] = MINUS_INF
        blanks[0, :] = MINUS_INF
        unaligned[0, :] = MINUS_INF
        skipped[0, :] = MINUS_INF
        ended[0, :] = MINUS_INF
        # As if a blank came before the first frame.
        blanks[0, 0] = 0.0
        ended[0, 0] = 0.0
        if arcs:
            for i in range(words):
                skipped[0, i + 1] = -skip * np.float32(i + 1)
    for r in range(1, len(scores) + 1):
        silence = scores[r - 1, blank]
        unaligned_cost = onset * onsets[r - 1]
        for j in range(count):
            emitted[j] = scores[r - 1, tokens[j]]
        blanks[r, 0] = blanks[r - 1, 0] + silence
        for j in range(count):
            blanks[r, j + 1] = _max(blanks[r - 1, j + 1], letters[r - 1, j]) + silence
        letters[r, 0] = _max(letters[r - 1, 0], blanks[r - 1, 0]) + emitted[0]
        for j in range(1, count):
            letters[r, j] = (
                _max(_max(letters[r - 1, j], blanks[r - 1, j]), letters[r - 1, j - 1] + repeat[j])
                + emitted[j]
            )
        for i in range(low, high):
            unaligned[r, i] = _max(unaligned[r - 1, i], ended[r - 1, i] - enter) - unaligned_cost
        if arcs:
            for i in range(words):
                j = first[i]
                letters[r, j] = _max(
                    letters[r, j], _max(unaligned[r - 1, i], skipped[r - 1, i]) + emitted[j]
                )
        ended[r, 0] = blanks[r, 0]
        for i in range(max(1, low), high):
            j, q = last[i - 1], close[i - 1]
            ended[r, i] = _max(
                _max(letters[r, j], blanks[r, j + 1]), _max(letters[r, q], blanks[r, q + 1])
            )
        if arcs:
            after_arc = MINUS_INF
            skipped[r, 0] = MINUS_INF
            for i in range(words):
                after_arc = _max(_max(ended[r, i], after_arc) - skip, unaligned[r, i] - replace)
                skipped[r, i + 1] = after_arc


@_compiled
def backward(arrays, penalties, arcs, gaps, last_block, rows, to_end, best):
    """Go back through one block, joining its forward rows with the best ways to the end.

    Args:
        arrays: `scores` and `onsets` are the block's frames.
        gaps: for these, and for the words after them, `best` is wanted: from the first to before
            the second.
        last_block: whether the block holds the last frame.
        rows: what `forward` filled.
        to_end: scores after the block's last frame (ignored where `last_block`); on return those
            after the frame before the block.
        best: shape (4, words + 1), raised where this block knows a better path; entry `words` of
            its rows KEEP and INSERT is the gap after the last word.
    """
    scores, onsets, tokens, repeat, first, last, close = arrays
    skip, replace, enter, onset = penalties
    letters, blanks, unaligned, skipped, ended = rows
    to_letters, to_blanks, to_unaligned = to_end
    count, words, blank = len(tokens), len(first), scores.shape[1] - 1
    low, high = gaps
    best_keep, best_skip, best_replace, best_insert = (
        best[KEEP], best[SKIP], best[REPLACE], best[INSERT],
    )  # fmt: skip
    emitted = np.empty(count, np.float32)
    # Best scores to the end. In `start` word i starts with the next frame; in `start_later` it may
    # be left out too (there is no word after the last gap); in `stay` unaligned speech in gap i
    # goes on; by `leave` the path goes from gap i along an arc.
    start = np.empty(words + 1, np.float32)
    start_later = np.full(words + 2, MINUS_INF, np.float32)
    stay = np.empty(words + 1, np.float32)
    leave = np.empty(words + 1, np.float32)
    # Best scores up to here: word i may start with the next frame, after the word before or a skip.
    reached = np.full(words + 1, MINUS_INF, np.float32)
    reached_by_arc = np.full(words + 1, MINUS_INF, np.float32)
    for r in range(len(scores) if last_block else len(scores) - 1, -1, -1):
        last_frame = r == len(scores)
        if last_frame:
            to_letters[:] = MINUS_INF
            to_blanks[:] = MINUS_INF
            start[:] = MINUS_INF
            stay[:] = MINUS_INF
            to_letters[count - 1] = 0.0
            to_blanks[count] = 0.0
            start[words] = 0.0
        else:
            silence = scores[r, blank]
            unaligned_cost = onset * onsets[r]
            for j in range(count):
                emitted[j] = scores[r, tokens[j]] + to_letters[j]
            for j in range(count - 1):
                jump = emitted[j + 1] + repeat[j + 1]
                to_letters[j] = _max(_max(emitted[j], silence + to_blanks[j + 1]), jump)
            to_letters[count - 1] = _max(emitted[count - 1], silence + to_blanks[count])
            for j in range(count):
                to_blanks[j] = _max(silence + to_blanks[j], emitted[j])
            to_blanks[count] = silence + to_blanks[count]
            start[words] = MINUS_INF
            if arcs:
                for i in range(words):
                    start[i] = emitted[first[i]]
                for i in range(words + 1):
                    stay[i] = to_unaligned[i] - unaligned_cost
            else:
                for i in range(low, min(high + 1, words)):
                    start[i] = emitted[first[i]]
        if arcs:
            start_later[words] = start[words]
            for i in range(words - 1, -1, -1):
                start_later[i] = _max(start[i], start_later[i + 1] - skip)
            for i in range(words + 1):
                reached_by_arc[i] = skipped[r, i]
                leave[i] = _max(stay[i] - enter, start_later[i + 1] - skip)
                to_unaligned[i] = _max(_max(stay[i], start[i]), start_later[i + 1] - replace)
            to_blanks[0] = _max(to_blanks[0], leave[0])
            for i in range(words):
                for j in (last[i], close[i]):
                    to_letters[j] = _max(to_letters[j], leave[i + 1])
                    to_blanks[j + 1] = _max(to_blanks[j + 1], leave[i + 1])
        else:
            for i in range(low, min(high, words) + 1):
                start_later[i] = start[i]
        reached[0] = blanks[r, 0]
        for i in range(max(1, low), min(high, words)):
            j = first[i]
            reached[i] = _max(blanks[r, j], letters[r, j - 1] + repeat[j])
        for i in range(low, high):
            now, after = start[i], start_later[i + 1]
            best_keep[i] = _max(best_keep[i], _max(reached[i], reached_by_arc[i]) + now)
            best_skip[i] = _max(best_skip[i], _max(ended[r, i], reached_by_arc[i]) - skip + after)
            best_replace[i] = _max(best_replace[i], unaligned[r, i] - replace + after)
            best_insert[i] = _max(best_insert[i], unaligned[r, i] + now)
        if last_frame and high > words:
            best_keep[words] = _max(ended[r, words], reached_by_arc[words])


@_compiled
def score_reversed(arrays, before, after):
    """Best score of each word with its letters in reverse order, in the frames between two words.

    The separators beside the word stay where they are. As many frames are needed as for the word.

    Args:
        before, after: first frame after the word before, first frame of the word after.
    """
    scores, _, tokens, repeat, first, last, close = arrays
    found = np.empty(len(first), np.float32)
    blank = scores.shape[1] - 1
    for i in range(len(first)):
        start = close[i - 1] if i > 0 and close[i - 1] > last[i - 1] else first[i]
        count = close[i] + 1 - start
        order = np.empty(count, np.int64)
        jump = np.zeros(count, np.float32)
        for j in range(start, close[i] + 1):
            mirror = first[i] + last[i] - j
            order[j - start] = tokens[mirror if first[i] <= j <= last[i] else j]
            if first[i] < j <= last[i]:
                jump[j - start] = repeat[mirror + 1]
        letters = np.full(count, MINUS_INF, np.float32)
        blanks = np.full(count + 1, MINUS_INF, np.float32)
        blanks[0] = 0.0
        for r in range(before[i], after[i]):
            silence = scores[r, blank]
            for j in range(count - 1, -1, -1):
                best = _max(letters[j], blanks[j])
                blanks[j + 1] = _max(blanks[j + 1], letters[j]) + silence
                if j > 0:
                    best = _max(best, letters[j - 1] + jump[j])
                letters[j] = best + scores[r, order[j]]
            blanks[0] += silence
        found[i] = _max(letters[count - 1], blanks[count])
    return found


@_compiled
def _row(rows, r):
    """One row of the forward scores."""
    return Forward(
        rows.letters[r], rows.blanks[r], rows.unaligned[r], rows.skipped[r], rows.ended[r]
    )


@_compiled
def _copy_row(source, r, target, s):
    """Row r of some forward scores to row s of others.

    In loops: an assignment of rows would take longer to compile than the passes do.
    """
    count, gaps = source.letters.shape[1], source.ended.shape[1]
    for j in range(count):
        target.letters[s, j] = source.letters[r, j]
    for j in range(count + 1):
        target.blanks[s, j] = source.blanks[r, j]
    for i in range(gaps):
        target.unaligned[s, i] = source.unaligned[r, i]
        target.skipped[s, i] = source.skipped[r, i]
        target.ended[s, i] = source.ended[r, i]


@_compiled
def _new_rows(count, tokens, words):
    """Room for so many rows of forward scores."""
    return Forward(
        np.empty((count, tokens), np.float32),
        np.empty((count, tokens + 1), np.float32),
        np.empty((count, words + 1), np.float32),
        np.empty((count, words + 1), np.float32),
        np.empty((count, words + 1), np.float32),
    )


@_compiled
def _ended_state(arrays, row, i):
    """The best state in which word i - 1 is ended and word i not begun, after the first frame."""
    if i == 0:
        return 0
    letters, blanks = row.letters, row.blanks
    q, end = arrays.last[i - 1], arrays.close[i - 1]
    best = _max(_max(letters[q], blanks[q + 1]), _max(letters[end], blanks[end + 1]))
    if blanks[q + 1] == best:
        return 2 * (q + 1)
    if letters[q] == best:
        return 2 * q + 1
    if blanks[end + 1] == best:
        return 2 * (end + 1)
    return 2 * end + 1


@_compiled
def _state_before_skips(arrays, penalties, row, i):
    """The state from which word i - 1 was left out, and maybe others before it."""
    while True:
        i -= 1
        by_skip = _max(row.ended[i], row.skipped[i]) - penalties.skip
        if row.unaligned[i] - penalties.replace > by_skip:
            return 2 * len(row.letters) + 1 + i
        if row.ended[i] >= row.skipped[i]:
            return _ended_state(arrays, row, i)


@_compiled
def _end(arrays, penalties, arcs, row):
    """Score of the best path, and its state after the last frame as `trace` numbers it."""
    count, words = len(row.letters), len(arrays.last)
    score = _max(row.letters[count - 1], row.blanks[count])
    if arcs:
        by_arc = _max(row.unaligned[words], row.skipped[words])
        score = _max(score, by_arc)
        if row.unaligned[words] > _max(row.ended[words], row.skipped[words]):
            return score, 2 * count + 1 + words
        if row.skipped[words] > row.ended[words]:
            return score, _state_before_skips(arrays, penalties, row, words)
    return score, 2 * count if row.blanks[count] > row.letters[count - 1] else 2 * count - 1


@_compiled
def trace(arrays, penalties, arcs, first_block, rows, state, path):
    """Walk the best path back through one block.

    States are numbered: 2 j the blank before token j, 2 j + 1 token j, and 2 tokens + 1 + i the
    unaligned speech in gap i.

    Args:
        state: after the block's last frame.
        path: shape (frames,), filled with the state of each frame of the block.

    Returns:
        The state after the frame before the block; for the first block it has no meaning.
    """
    first, repeat = arrays.first, arrays.repeat
    letters, blanks, unaligned, skipped, ended = rows
    count, words = len(repeat), len(first)
    word_of = np.full(count, -1, np.int64)
    for i in range(words):
        word_of[first[i]] = i
    for t in range(len(path) - 1, -1, -1):
        path[t] = state
        if first_block and t == 0:
            break
        if state > 2 * count:
            i = state - 2 * count - 1
            # On a tie the unaligned speech begins as late as it can.
            if ended[t, i] - penalties.enter >= unaligned[t, i]:
                state = _ended_state(arrays, _row(rows, t), i)
        elif state % 2 == 0:
            j = state // 2
            if j > 0 and letters[t, j - 1] > blanks[t, j]:
                state -= 1
        else:
            j = state // 2
            stay, come = letters[t, j], blanks[t, j]
            jump = letters[t, j - 1] + repeat[j] if j > 0 else MINUS_INF
            i = word_of[j]
            by_arc = _max(unaligned[t, i], skipped[t, i]) if arcs and i >= 0 else MINUS_INF
            if by_arc > _max(stay, _max(come, jump)):
                if unaligned[t, i] >= skipped[t, i]:
                    state = 2 * count + 1 + i
                else:
                    state = _state_before_skips(arrays, penalties, _row(rows, t), i)
            elif jump > stay and jump >= come:
                state -= 2
            elif come > stay:
                state -= 1
    return state


@_compiled
def follow(arrays, path):
    """When a path comes to each token and leaves it for good, and what it costs so far.

    Returns:
        First frame and one past the last, shape (tokens,), -1: never; nats over the greedy output
        up to each frame, shape (frames + 1,).
    """
    scores, tokens = arrays.scores, arrays.tokens
    count, blank = len(tokens), scores.shape[1] - 1
    entered, left = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    costs = np.zeros(len(path) + 1)
    for t in range(len(path)):
        j, column = path[t] // 2, blank
        if path[t] > 2 * count:
            costs[t + 1] = costs[t]
            continue
        if path[t] % 2 == 1:
            column = tokens[j]
            left[j] = t + 1
            if entered[j] < 0:
                entered[j] = t
        costs[t + 1] = costs[t] - scores[t, column]
    return entered, left, costs


@_compiled
def run_pass(arrays, penalties, arcs, gaps, back, block):
    """One pass: forward, and back if that is wanted, `block` frames at a time.

    Blocks but the last are gone through twice, forward from the row at their edge.

    Returns:
        Score of the best path; `best` as in `backward`; state of each frame as in `trace`.
    """
    scores, onsets, tokens, repeat, first, last, close = arrays
    frames, count, words = len(scores), len(tokens), len(first)
    blocks = (frames + block - 1) // block
    rows = _new_rows(block + 1, count, words)
    edges = _new_rows(blocks if back else 1, count, words)
    best = np.full((4, words + 1), NOT_COMPUTED, np.float32)
    best[:, gaps[0] : gaps[1]] = MINUS_INF
    path = np.zeros(frames, np.int64)
    to_end = ToEnd(
        np.empty(count, np.float32),
        np.empty(count + 1, np.float32),
        np.full(words + 1, MINUS_INF, np.float32),
    )
    score, state, length = MINUS_INF, 0, 0
    for step in range(2 * blocks if back else blocks):
        # Forward from the first block to the last, then back from the last to the first.
        returning = step >= blocks
        number = 2 * blocks - 1 - step if returning else step
        start = number * block
        if returning and number > 0:
            _copy_row(edges, number, rows, 0)
        elif number > 0:
            _copy_row(rows, length, rows, 0)
            if back:
                _copy_row(rows, 0, edges, number)
        length = min(block, frames - start)
        here = Arrays(
            scores[start : start + length], onsets[start : start + length],
            tokens, repeat, first, last, close,
        )  # fmt: skip
        if step != blocks:  # the last block's rows are still there
            forward(here, penalties, arcs, gaps, number == 0, rows)
        if step == blocks - 1:
            score, state = _end(arrays, penalties, arcs, _row(rows, length))
        if returning:
            part = path[start : start + length]
            state = trace(arrays, penalties, arcs, number == 0, rows, state, part)
            backward(here, penalties, arcs, gaps, number == blocks - 1, rows, to_end, best)
    return score, best, path
