"""Charts that are logged as images."""

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
"""Positions on the axis and their values, of equal length."""


def line_image(
    title: str, series: Mapping[str, Points], *, axis: str, marks: Mapping[str, float]
) -> Pixels:
    """Draw lines over one axis.

    Args:
        title: of the chart.
        series: the points of each line by its name.
        axis: name of the horizontal axis.
        marks: named positions on the axis, drawn as dashed lines.

    Returns:
        Pixels of shape (height, width, 3).
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
    figure.suptitle(_literal(title))  # the axes' own title would lie under the names of the marks
    drawing.set(xlabel=_literal(axis))
    drawing.grid(alpha=0.3)
    if series:
        drawing.legend()
    return _render(figure)


def _literal(text: str) -> str:
    """Escape dollars: text between two of them would be read as a formula."""
    return text.replace("$", r"\$")


def _render(figure: Figure) -> Pixels:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes; the logged tables show them.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
