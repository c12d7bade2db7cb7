"""Writes docs/settings.md and the JSON Schema of the settings from the model.

``python -m casa_install.site.docs`` writes, ``--check`` fails when the file is stale, ``--schema`` prints.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from casa_install.site.model import GROUPS, HostSettings, Profile, Settings
from casa_install.site.values import expected, plain_type

SETTINGS_FILE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"

_HEAD = """\
# Settings

<!-- Written by `python -m casa_install.site.docs` from casa_install/site/model.py: edit there. -->

A site is one INI inventory: hosts in groups, and variables that start with `casa_`. Settings of the whole site stand
under `[all:vars]` or in `group_vars/all.yml` beside the inventory; settings of a host on its line, under the `:vars`
of its group, in `group_vars/<group>.yml` or in `host_vars/<host>.yml`. Lists and maps are written as in Python or
JSON in the INI file and as YAML elsewhere. Ansible's own variables (`ansible_host`, `ansible_user`, …) mean what they
always do.
A mistake is answered by its file, its line and what to write instead, before any host is touched.
"""


def settings_page() -> str:
    """The whole page."""
    return "\n".join([
        _HEAD, "## Groups", "", *_groups(),
        "", "## Settings of the site", "", *_table(Settings, "casa_"),
        "", "## Settings of a host", "", *_table(HostSettings, "casa_"),
        "", "## Entries of `casa_profiles`", "", *_table(Profile, ""), "",
    ])


def _groups() -> Iterator[str]:
    yield from ("| Group | Its hosts run |", "|---|---|")
    for name, title in GROUPS.items():
        yield f"| `{name}` | {title} |"


def _table(model: type[BaseModel], prefix: str) -> Iterator[str]:
    yield from ("| Name | Value | Default | Meaning |", "|---|---|---|---|")
    for name, field in model.model_fields.items():
        if not field.description:
            raise ValueError(f"{model.__name__}.{name} has no docstring")
        cells = (f"`{prefix}{name}`", _value(field), _default(field),
                 " ".join(field.description.split()).replace("``", "`"))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(field: FieldInfo) -> str:
    words = expected(field.annotation, field.metadata) or "text"
    kind = plain_type(field.annotation)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        words = "list of profiles, see below" if inner is Profile else f"list, each {expected(inner)}"
    bounds = [f"{word} {value:g}" for each in field.metadata
              for word, value in (("above", getattr(each, "gt", None)), ("at least", getattr(each, "ge", None)),
                                  ("at most", getattr(each, "le", None))) if value is not None]
    return ", ".join([words.removeprefix("a ").removeprefix("an "), *bounds])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default: Any = field.get_default(call_default_factory=True)
    if default in (None, ()):
        return "none"
    if default == "":
        return "empty"
    if isinstance(default, tuple):
        return ", ".join(f"`{each.slug}` ({each.title})" if isinstance(each, Profile) else f"`{each}`"
                         for each in default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def schema() -> str:
    """JSON Schema of the site's settings, keys as in an inventory."""
    made = Settings.model_json_schema()
    made["properties"] = {f"casa_{name}": value for name, value in made["properties"].items()}
    made["required"] = [f"casa_{name}" for name in made.get("required", [])]
    return json.dumps(made, indent=2, default=str) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 when ``--check`` finds the page stale."""
    parser = argparse.ArgumentParser(prog="python -m casa_install.site.docs", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="fail if docs/settings.md is stale")
    what.add_argument("--schema", action="store_true", help="print the JSON Schema")
    parser.add_argument("--file", type=Path, default=SETTINGS_FILE, help="the page, docs/settings.md by default")
    chosen = parser.parse_args(arguments)
    if chosen.schema:
        sys.stdout.write(schema())
    elif chosen.check:
        if not chosen.file.is_file() or chosen.file.read_text() != settings_page():
            print(f"{chosen.file} is stale: run python -m casa_install.site.docs", file=sys.stderr)
            return 1
    else:
        chosen.file.write_text(settings_page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
