"""What is wrong with an inventory: every problem has its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

COMMAND_LINE = Path("-e")
"""Stands for a file where the command line gave something; it has no lines."""


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file, counted from 1; 0 where there are no lines."""

    file: Path
    line: int


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to change before the inventory is good."""

    file: Path
    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        return f"{self.file}{line}: {self.message}; {self.remedy}"


class InventoryErrors(Exception):  # noqa: N818 - it carries many
    """An inventory that was refused, with all its problems in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class Problems:
    """Collects problems while an inventory is read."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, place: Place, message: str, remedy: str) -> None:
        """Note one problem; what a terminal would not print is written as an escape."""
        self.found.append(Problem(place.file, place.line, printable(message), printable(remedy)))

    def stop_if_any(self, besides: Iterable[Problem] = ()) -> None:
        """Refuse the inventory if something was noted.

        :param besides: what alone would be no reason to refuse it.
        :raises InventoryErrors: with all that was noted, and with that.
        """
        if self.found:
            raise InventoryErrors([*self.found, *besides])


def printable(text: str) -> str:
    """The text on one line, with control characters and halves of characters as escapes."""
    return text if text.isprintable() else "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy for an unknown name: the nearest known one, or ``otherwise``."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else otherwise
