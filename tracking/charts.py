"""The few drawings that are logged as images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

Points = tuple[Sequence[float], Sequence[float]]
"""Positions and values, of equal length."""


def line_image(
    title: str, series: Mapping[str, Points], *, axis: str, marks: Mapping[str, float]
) -> Pixels:
    """Lines over one axis; `marks` are positions on it, with what begins there.

    Pixels have the shape (height, width, 3).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    drawing = figure.subplots()
    for name, (positions, values) in series.items():
        marker = "." if len(values) < 30 else None
        drawing.plot(positions, values, label=_literal(name), marker=marker)
    for name, position in marks.items():
        drawing.axvline(position, color="0.5", linestyle="--", linewidth=1)
        drawing.annotate(
            _literal(name),
            (position, 1),
            xycoords=("data", "axes fraction"),
            va="bottom",
            ha="center",
        )
    figure.suptitle(_literal(title))  # the axes' own title would lie under the marks
    drawing.set(xlabel=_literal(axis))
    drawing.grid(alpha=0.3)
    if series:
        drawing.legend()
    return _drawn(figure)


def bar_image(title: str, labels: Sequence[str], values: Sequence[float], *, axis: str) -> Pixels:
    """One bar a label; pixels as in `line_image`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    drawing = figure.subplots()
    drawing.bar([_literal(label) for label in labels], values)
    drawing.set(title=_literal(title), ylabel=_literal(axis))
    return _drawn(figure)


def _literal(text: str) -> str:
    """A text as it is: two dollars would begin and end a formula, and a wrong one fails."""
    return text.replace("$", r"\$")


def _drawn(figure: Figure) -> Pixels:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes; the tables have them right.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
