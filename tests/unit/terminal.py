"""A terminal that knows what a live block needs, and fails at all else: at clearing the screen above all."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len

_PIECES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x00-\x1f\x7f]+|.", re.DOTALL)
REFRESH = "\r\x1b[2K"
"""What a live block is rewritten with begins so: its last line is erased, then those above it."""


class Terminal:
    """What a program that writes to it has on its lines.

    ``lines`` is everything since its start, scrolled away or not; ``widest`` is how many columns were ever used.
    """

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [""]
        self.widest = 0
        self.cursor_shown = True
        self._row = 0

    def write(self, text: str) -> None:
        """Do what a program has sent."""
        for piece in _PIECES.findall(text):
            if piece in ("\x1b[?25l", "\x1b[?25h"):
                self.cursor_shown = piece.endswith("h")
            elif piece == "\x1b[2K":
                self.lines[self._row] = ""
            elif up := re.fullmatch(r"\x1b\[(\d+)A", piece):
                self._row -= int(up[1])
                assert self._row >= max(0, len(self.lines) - self.rows), "it goes up to a line that is out of sight"
            elif piece == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif piece.isprintable():
                self.lines[self._row] += piece
                self.widest = max(self.widest, cell_len(self.lines[self._row]))
            else:
                assert piece == "\r" or re.fullmatch(r"\x1b\[[0-9;]*m", piece), f"{piece!r} is not looked for"

    def having(self, titles: Sequence[str]) -> list[str]:
        """The lines of which each has one of the titles."""
        return [line for line in self.lines if any(title in line for title in titles)]
