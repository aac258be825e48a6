"""Lines for the user: notes, and warnings that are printed once."""

from __future__ import annotations

from collections.abc import Callable


class Notices:
    """Prints lines, each kind of warning once: a lost server would otherwise fill the terminal."""

    def __init__(self, say: Callable[[str], None], *, silent: bool) -> None:
        """`say` takes each line; `silent` leaves out notes, but no warning."""
        self._say = say
        self._silent = silent
        self._warned: set[str] = set()

    def note(self, line: str) -> None:
        """Print a line that asks nothing of the user."""
        if not self._silent:
            self._say(line)

    def warn(self, kind: str, line: str) -> None:
        """Print a warning, unless one of the same kind was printed before."""
        if kind not in self._warned:
            self._warned.add(kind)
            self._say(line)
