"""Generated documents are as their sources say."""

from __future__ import annotations

from pathlib import Path

from casa_install import cli, drawing

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_picture_is_drawn_from_the_phase_table() -> None:
    assert README.read_text() == drawing.drawn(README.read_text()), "run python -m casa_install.drawing"


def test_every_verb_is_in_the_readme() -> None:
    for verb in set(cli.VERBS) - {"apply"}:
        assert f"casa-install {verb} " in README.read_text()
