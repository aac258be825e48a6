"""The lattice's inner loops, compiled by numba; `lattice.py` says what they compute.

All scores are natural logarithms relative to the best token of their frame, so that a path that
follows the greedy output scores 0. State of one frame, one row an array:

- `letters` (tokens,): the path is at token j;
- `blanks` (tokens + 1,): the path is at the blank before token j (the last one: after all tokens);
- `speech` (words + 1,): the path is in speech that nobody claims, in the gap before word i;
- `skipped` (words + 1,): word i - 1 was just left out and word i may start with the next frame;
- `ended` (words + 1,): word i - 1 was said to its end, and word i not begun: the best of its last
  token, the separator after it (up to token `close` of the word) and the blanks behind these.

Loops index the arrays in full, `letters[r, j]`: a view of a row is an object whose references are
counted, which costs more than a row's words, and keeps the loop from being vectorised.

Row r of a block that starts at frame t0 holds the state after frame t0 - 1 + r; row 0 of the first
block is the start, before any frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

NEVER = np.float32(-np.inf)
NOT_SOUGHT = np.float32(-1e30)
"""Score where no path was looked for; finite, so that a difference of two is a number."""
KEEP, SKIP, REPLACE, SPEECH = 0, 1, 2, 3
"""Rows of `best` in `backward`: best path that says word i, leaves it out, has other speech in its
place, has unclaimed speech in the gap before it and says it."""


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled once a machine, or once a process where no folder takes what is compiled; holds no
    interpreter lock. No NaN can arise: nothing is +inf.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"nnan", "nsz"},
        "error_model": "numpy",
    }
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside this file nor in the user's cache can be written
        compiled = numba.njit(**options)(function)
    return cast(Callable[..., Any], compiled)


@numba.njit(inline="always")
def _max(a, b):
    """Without the care for NaN that the built-in takes."""
    return a if a > b else b


@_compiled
def forward(
    scores, onsets, tokens, repeat, first, last, close, penalties, arcs, near, begin,
    letters, blanks, speech, skipped, ended,
):  # fmt: skip
    """Fill rows 1 to n of one block from its row 0; `scores` and `onsets` are the block's frames.

    Where `arcs` is false, unclaimed speech is scored beside the strict path and never leads back
    into it: one arc at a time, for `backward` to join. That is done for the gaps `near` alone (from
    the first to before the second); with arcs all are needed.
    """
    skip, replace, enter, onset = penalties
    count, words, blank = len(tokens), len(first), scores.shape[1] - 1
    low, high = (0, words + 1) if arcs else near
    emitted = np.empty(count, np.float32)
    if begin:
        letters[0, :] = NEVER
        blanks[0, :] = NEVER
        speech[0, :] = NEVER
        skipped[0, :] = NEVER
        ended[0, :] = NEVER
        # As if a blank came before the first frame.
        blanks[0, 0] = 0.0
        ended[0, 0] = 0.0
        if arcs:
            for i in range(words):
                skipped[0, i + 1] = -skip * np.float32(i + 1)
    for r in range(1, len(scores) + 1):
        silence = scores[r - 1, blank]
        price = onset * onsets[r - 1]
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
            speech[r, i] = _max(speech[r - 1, i], ended[r - 1, i] - enter) - price
        if arcs:
            for i in range(words):
                j = first[i]
                letters[r, j] = _max(
                    letters[r, j], _max(speech[r - 1, i], skipped[r - 1, i]) + emitted[j]
                )
        ended[r, 0] = blanks[r, 0]
        for i in range(max(1, low), high):
            j, q = last[i - 1], close[i - 1]
            ended[r, i] = _max(
                _max(letters[r, j], blanks[r, j + 1]), _max(letters[r, q], blanks[r, q + 1])
            )
        if arcs:
            chain = NEVER
            skipped[r, 0] = NEVER
            for i in range(words):
                chain = _max(_max(ended[r, i], chain) - skip, speech[r, i] - replace)
                skipped[r, i + 1] = chain


@_compiled
def backward(
    scores, onsets, tokens, repeat, first, last, close, penalties, arcs, near, end,
    letters, blanks, speech, skipped, ended, to_letters, to_blanks, to_speech, best,
):  # fmt: skip
    """Go back through one block, joining its forward rows with the best ways to the end.

    Args:
        end: whether the block holds the last frame.
        to_letters, to_blanks, to_speech: best scores from each state after the block's last frame
            to the end (ignored where `end`); on return those after the frame before the block.
        near: gaps for which, and for the words after which, `best` is wanted: from the first to
            before the second.
        best: shape (4, words + 1), raised where this block knows a better path; entry `words` of
            its rows KEEP and SPEECH is the gap after the last word.
    """
    skip, replace, enter, onset = penalties
    count, words, blank = len(tokens), len(first), scores.shape[1] - 1
    low, high = near
    keeping, skipping, replacing, hearing = best[KEEP], best[SKIP], best[REPLACE], best[SPEECH]
    emitted = np.empty(count, np.float32)
    begun = np.empty(words + 1, np.float32)  # word i starts with the next frame
    # Word i starts with the next frame, or is left out too; there is no word after the last gap.
    ready = np.full(words + 2, NEVER, np.float32)
    spoken = np.empty(words + 1, np.float32)  # unclaimed speech goes on with the next frame
    arrived = np.full(words + 1, NEVER, np.float32)  # word i may start with the next frame
    # Word i is left out, or unclaimed speech comes before it.
    away = np.empty(words + 1, np.float32)
    chain = np.full(words + 1, NEVER, np.float32)
    for r in range(len(scores) if end else len(scores) - 1, -1, -1):
        last_frame = r == len(scores)
        if last_frame:
            to_letters[:] = NEVER
            to_blanks[:] = NEVER
            begun[:] = NEVER
            spoken[:] = NEVER
            to_letters[count - 1] = 0.0
            to_blanks[count] = 0.0
            begun[words] = 0.0
        else:
            silence = scores[r, blank]
            price = onset * onsets[r]
            for j in range(count):
                emitted[j] = scores[r, tokens[j]] + to_letters[j]
            for j in range(count - 1):
                jump = emitted[j + 1] + repeat[j + 1]
                to_letters[j] = _max(_max(emitted[j], silence + to_blanks[j + 1]), jump)
            to_letters[count - 1] = _max(emitted[count - 1], silence + to_blanks[count])
            for j in range(count):
                to_blanks[j] = _max(silence + to_blanks[j], emitted[j])
            to_blanks[count] = silence + to_blanks[count]
            begun[words] = NEVER
            if arcs:
                for i in range(words):
                    begun[i] = emitted[first[i]]
                for i in range(words + 1):
                    spoken[i] = to_speech[i] - price
            else:
                for i in range(low, min(high + 1, words)):
                    begun[i] = emitted[first[i]]
        if arcs:
            ready[words] = begun[words]
            for i in range(words - 1, -1, -1):
                ready[i] = _max(begun[i], ready[i + 1] - skip)
            for i in range(words + 1):
                chain[i] = skipped[r, i]
                away[i] = _max(spoken[i] - enter, ready[i + 1] - skip)
                to_speech[i] = _max(_max(spoken[i], begun[i]), ready[i + 1] - replace)
            to_blanks[0] = _max(to_blanks[0], away[0])
            for i in range(words):
                for j in (last[i], close[i]):
                    to_letters[j] = _max(to_letters[j], away[i + 1])
                    to_blanks[j + 1] = _max(to_blanks[j + 1], away[i + 1])
        else:
            for i in range(low, min(high, words) + 1):
                ready[i] = begun[i]
        arrived[0] = blanks[r, 0]
        for i in range(max(1, low), min(high, words)):
            j = first[i]
            arrived[i] = _max(blanks[r, j], letters[r, j - 1] + repeat[j])
        for i in range(low, high):
            start, gone = begun[i], ready[i + 1]
            keeping[i] = _max(keeping[i], _max(arrived[i], chain[i]) + start)
            skipping[i] = _max(skipping[i], _max(ended[r, i], chain[i]) - skip + gone)
            replacing[i] = _max(replacing[i], speech[r, i] - replace + gone)
            hearing[i] = _max(hearing[i], speech[r, i] + start)
        if last_frame and high > words:
            keeping[words] = _max(ended[r, words], chain[words])


@_compiled
def turned(scores, tokens, repeat, first, last, close, before, after):
    """Best score of each word with its letters in reverse order, in the frames between two words.

    The separators beside the word stay where they are. As many frames are needed as for the word.

    Args:
        before, after: first frame after the word before, first frame of the word after.
    """
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
        at = np.full(count, NEVER, np.float32)
        behind = np.full(count + 1, NEVER, np.float32)  # at the blank before token j
        behind[0] = 0.0
        for r in range(before[i], after[i]):
            silence = scores[r, blank]
            for j in range(count - 1, -1, -1):
                best = _max(at[j], behind[j])
                behind[j + 1] = _max(behind[j + 1], at[j]) + silence
                if j > 0:
                    best = _max(best, at[j - 1] + jump[j])
                at[j] = best + scores[r, order[j]]
            behind[0] += silence
        found[i] = _max(at[count - 1], behind[count])
    return found


@_compiled
def _ended_state(letters, blanks, last, close, i):
    """The best state in which word i - 1 is ended and word i not begun, after the first frame."""
    if i == 0:
        return 0
    q, end = last[i - 1], close[i - 1]
    best = _max(_max(letters[q], blanks[q + 1]), _max(letters[end], blanks[end + 1]))
    if blanks[q + 1] == best:
        return 2 * (q + 1)
    if letters[q] == best:
        return 2 * q + 1
    if blanks[end + 1] == best:
        return 2 * (end + 1)
    return 2 * end + 1


@_compiled
def _state_before_skips(
    letters, blanks, speech, skipped, ended, last, close, skip, replace, i
):  # fmt: skip
    """The state from which word i - 1 was left out, and maybe others before it."""
    while True:
        i -= 1
        if speech[i] - replace > _max(ended[i], skipped[i]) - skip:
            return 2 * len(letters) + 1 + i
        if ended[i] >= skipped[i]:
            return _ended_state(letters, blanks, last, close, i)


@_compiled
def end_state(
    letters, blanks, speech, skipped, ended, last, close, penalties, arcs
):  # fmt: skip
    """The state of the best path after the last frame; see `trace`."""
    count, words = len(letters), len(last)
    if arcs:
        if speech[words] > _max(ended[words], skipped[words]):
            return 2 * count + 1 + words
        if skipped[words] > ended[words]:
            return _state_before_skips(
                letters,
                blanks,
                speech,
                skipped,
                ended,
                last,
                close,
                penalties[0],
                penalties[1],
                words,
            )
    return 2 * count if blanks[count] > letters[count - 1] else 2 * count - 1


@_compiled
def trace(
    repeat, first, last, close, penalties, arcs, begin, state,
    letters, blanks, speech, skipped, ended, path,
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
    skip, replace, enter, _ = penalties
    count, words = len(repeat), len(first)
    word_of = np.full(count, -1, np.int64)
    for i in range(words):
        word_of[first[i]] = i
    for r in range(len(path), 0, -1):
        path[r - 1] = state
        if begin and r == 1:
            break
        row_l, row_b, row_s, row_k = letters[r - 1], blanks[r - 1], speech[r - 1], skipped[r - 1]
        row_e = ended[r - 1]
        if state > 2 * count:
            i = state - 2 * count - 1
            # On a tie the speech begins as late as it can.
            if row_e[i] - enter >= row_s[i]:
                state = _ended_state(row_l, row_b, last, close, i)
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
                        row_l, row_b, row_s, row_k, row_e, last, close, skip, replace, i
                    )
            elif jump > stay and jump >= come:
                state -= 2
            elif come > stay:
                state -= 1
    return state


@_compiled
def along(scores, tokens, path):
    """When a path comes to each token and leaves it for good (-1: never), and what it costs so far.

    Returns:
        First frame and one past the last, shape (tokens,); nats, shape (frames + 1,).
    """
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
def best_paths(
    scores, onsets, tokens, repeat, first, last, close, penalties, arcs, near, back, block
):  # fmt: skip
    """One pass: forward, and back if that is wanted, so many frames at a time.

    Blocks but the last are gone through twice, forward from the row at their edge.

    Returns:
        Score of the best path; `best` as in `backward`; state of each frame as in `trace`.
    """
    frames, count, words = len(scores), len(tokens), len(first)
    letters = np.empty((block + 1, count), np.float32)
    blanks = np.empty((block + 1, count + 1), np.float32)
    speech = np.empty((block + 1, words + 1), np.float32)
    skipped = np.empty((block + 1, words + 1), np.float32)
    ended = np.empty((block + 1, words + 1), np.float32)
    blocks = (frames + block - 1) // block
    edges = blocks if back else 1
    edge_l = np.empty((edges, count), np.float32)
    edge_b = np.empty((edges, count + 1), np.float32)
    edge_s = np.empty((edges, words + 1), np.float32)
    edge_k = np.empty((edges, words + 1), np.float32)
    edge_e = np.empty((edges, words + 1), np.float32)
    best = np.full((4, words + 1), NOT_SOUGHT, np.float32)
    best[:, near[0] : near[1]] = NEVER
    path = np.zeros(frames, np.int64)
    to_letters = np.empty(count, np.float32)
    to_blanks = np.empty(count + 1, np.float32)
    to_speech = np.full(words + 1, NEVER, np.float32)
    score, state, length = NEVER, 0, 0
    for step in range(2 * blocks if back else blocks):
        # Forward from the first block to the last, then back from the last to the first.
        returning = step >= blocks
        number = 2 * blocks - 1 - step if returning else step
        start = number * block
        if returning and number > 0:
            letters[0], blanks[0] = edge_l[number], edge_b[number]
            speech[0], skipped[0], ended[0] = edge_s[number], edge_k[number], edge_e[number]
        elif number > 0:
            letters[0], blanks[0] = letters[length], blanks[length]
            speech[0], skipped[0], ended[0] = speech[length], skipped[length], ended[length]
            if back:
                edge_l[number], edge_b[number] = letters[0], blanks[0]
                edge_s[number], edge_k[number], edge_e[number] = speech[0], skipped[0], ended[0]
        length = min(block, frames - start)
        part, heard = scores[start : start + length], onsets[start : start + length]
        if step != blocks:  # the last block's rows are still there
            forward(
                part, heard, tokens, repeat, first, last, close, penalties, arcs, near, number == 0,
                letters, blanks, speech, skipped, ended,
            )  # fmt: skip
        if step == blocks - 1:
            score = _max(letters[length, count - 1], blanks[length, count])
            if arcs:
                score = _max(score, _max(speech[length, words], skipped[length, words]))
            state = end_state(
                letters[length], blanks[length], speech[length], skipped[length], ended[length],
                last, close, penalties, arcs,
            )  # fmt: skip
        if returning:
            state = trace(
                repeat, first, last, close, penalties, arcs, number == 0, state,
                letters, blanks, speech, skipped, ended, path[start : start + length],
            )  # fmt: skip
            backward(
                part, heard, tokens, repeat, first, last, close, penalties, arcs, near,
                number == blocks - 1, letters, blanks, speech, skipped, ended,
                to_letters, to_blanks, to_speech, best,
            )  # fmt: skip
    return score, best, path
