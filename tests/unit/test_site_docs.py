"""docs/settings.md and the JSON Schema come from the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from casa_install.site import GROUPS, Settings
from casa_install.site.docs import main, schema, settings_page


def test_page_is_fresh() -> None:
    assert main(["--check"]) == 0, "run python -m casa_install.site.docs"


def test_stale_page_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "settings.md"
    assert main(["--check", "--file", str(page)]) == 1
    assert "is stale: run" in capsys.readouterr().err
    assert main(["--file", str(page)]) == 0
    assert main(["--check", "--file", str(page)]) == 0


def test_page_has_everything() -> None:
    page = settings_page()
    assert all(f"`casa_{name}`" in page for name in Settings.model_fields)
    assert all(f"`{name}`" in page for name in GROUPS)


def test_schema() -> None:
    made = json.loads(schema())
    assert set(made["properties"]) == {f"casa_{name}" for name in Settings.model_fields}
    assert "casa_domain" in made["required"]
