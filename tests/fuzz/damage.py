"""Damage to files: a few numbers say what is done to which bytes, so that a case can be shrunk."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

STEP = struct.Struct("<4H")
"""Which kind of damage, and three numbers that it takes modulo what there is."""
STEPS = st.binary(min_size=STEP.size, max_size=4 * STEP.size)
"""One draw, since drawing takes longer than reading most files; what is left over is no step."""

TOKENS = (
    *(b"\n", b"\r", b"\r\n", b'"', b"'", b",", b"\t", b"\x00", b"\xff", b"\xff\xff\xff\xff", b"{["),
    *(b"[" * 2000, b"{" * 2000, b'{"":' * 2000, b"\xed\xa0\x80", "\u2028\u0085\u202e".encode()),
    *(
        b"null",
        b"NaN",
        b"-1",
        b"1e999",
        b"9" * 5000,
        b"0x10",
        b"1_000",
        b"\xef\xbb\xbf",
        b"|",
        b"#",
    ),
    *(
        b"&a [*a]",
        b"<<: *a",
        b"!!python/object:os.system",
        b"${oc.env:HOME}",
        b"---\n",
        b"= ",
        b": ",
    ),
    *(b"2026-01-01T00:00:00Z", b"inf", b"\xf0\x9f\x98\x80", b"RIFF", b"fLaC", b"OggS", b"PAR1"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**63, 10**30, 1e308, -1e-320, float("nan"), float("inf")),
    *(
        "",
        " ",
        "\x00",
        "\ud800",
        "\u202e",
        "..",
        "/",
        "../../etc/passwd",
        "pipe:touch x",
        "#2",
        "n1",
    ),
    *("x" * 5000, "9999-12-31T23:59:59+00:00", "language x<asr_text>", "sha256:", "NaN", "1e400"),
    *([], {}, [[]], {"a": 1}, [{"id": 1}], ["x"] * 3, [None], {"": {}}),
)


def damaged(files: Mapping[str, bytes], steps: bytes) -> dict[str, bytes]:
    """Some files, each step of damage done to one of them."""
    found = dict(files)
    names = sorted(found)
    whole = len(steps) // STEP.size * STEP.size
    for kind, one, two, three in STEP.iter_unpack(steps[:whole]):
        name = names[kind // len(KINDS) % len(names)]
        found[name] = KINDS[kind % len(KINDS)](found[name], one, two, three)
    return found


def _replace(content: bytes, one: int, two: int, three: int) -> bytes:
    at = one % (len(content) + 1)
    return content[:at] + TOKENS[two % len(TOKENS)] + content[at + three % 12 :]


def _flip(content: bytes, one: int, two: int, three: int) -> bytes:
    if not content:
        return content
    at = one % len(content)
    return content[:at] + bytes([content[at] ^ (1 + two % 255)]) + content[at + 1 :]


def _claim(content: bytes, one: int, two: int, three: int) -> bytes:
    """Near the start, where sizes, rates and counts lie, or anywhere: as much as they can hold."""
    at = one % (len(content) + 1) if three % 2 else one % 64
    length = 1 + two % 8
    return content[:at] + (b"\xff", b"\x00", b"\x7f")[three % 3] * length + content[at + length :]


def _truncate(content: bytes, one: int, two: int, three: int) -> bytes:
    return content[: one % (len(content) + 1)]


def _cut(content: bytes, one: int, two: int, three: int) -> bytes:
    at = one % (len(content) + 1)
    return content[:at] + content[at + two % 300 :]


def _double(content: bytes, one: int, two: int, three: int) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    lines.insert(one % (len(lines) + 1), lines[two % len(lines)] * (1, 1, 1, 300)[three % 4])
    return b"".join(lines)


def _swap(content: bytes, one: int, two: int, three: int) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    here, there = one % len(lines), two % len(lines)
    lines[here], lines[there] = lines[there], lines[here]
    return b"".join(lines)


def _value(content: bytes, one: int, two: int, three: int) -> bytes:
    """Another value in the JSON of the file, or of one of its lines; or the key goes."""
    try:
        return _json(content, one, two, three)
    except (ValueError, RecursionError):
        lines = content.split(b"\n")
        number = two // 7 % len(lines)
        try:
            lines[number] = _json(lines[number], one, two, three)
        except (ValueError, RecursionError):
            return _replace(content, one, two, three)
        return b"\n".join(lines)


def _json(content: bytes, one: int, two: int, three: int) -> bytes:
    value = json.loads(content)
    changed = changed_value(value, one, two, three)
    return json.dumps(changed).encode() + (b"\n" if content.endswith(b"\n") else b"")


def changed_value(value: Any, one: int, two: int, three: int) -> Any:
    """A JSON value with another value, number or name somewhere within it."""
    where = list(_places(value))
    if not where:
        return VALUES[two % len(VALUES)]
    holder, key = where[one % len(where)]
    old = holder[key]
    if three % 5 == 0:
        del holder[key]
    elif three % 5 == 1 and isinstance(old, (int, float)):
        holder[key] = old * (-1, 10, 0.1, 1e18)[two % 4]
    elif three % 5 == 2 and isinstance(holder, dict):
        holder[str(VALUES[two % len(VALUES)])] = holder.pop(key)
    else:
        holder[key] = VALUES[two % len(VALUES)]
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every key and index of a JSON value, with what holds it."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


KINDS: tuple[Callable[[bytes, int, int, int], bytes], ...] = (
    *(_replace, _flip, _claim, _truncate, _cut, _double, _swap),
    *(_value, _value, _value, _value),
)
