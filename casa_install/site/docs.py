"""Writes docs/settings.md and docs/settings.schema.json from the model.

``python -m casa_install.site.docs`` writes, ``--check`` fails when one of them is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from casa_install.site.model import GROUPS, HostSettings, Profile, Settings
from casa_install.site.schema import schema
from casa_install.site.values import expected, plain_type

DOCS = Path(__file__).resolve().parents[2] / "docs"

_HEAD = """\
# Settings

<!-- Written by `python -m casa_install.site.docs` from casa_install/site/model.py: edit there. -->

A site is one INI inventory: hosts in groups, and variables that start with `casa_`. Settings of the whole site stand
under `[all:vars]` or in `group_vars/all.yml` beside the inventory; settings of a host on its line, under the `:vars`
of its group, in `group_vars/<group>.yml` or in `host_vars/<host>.yml`. Lists and maps are written as in Python or
JSON in the INI file and as YAML elsewhere. Ansible's own variables (`ansible_host`, `ansible_user`, …) mean what they
always do. Variables of yours are welcome unless a name is so close to one of these that it may be a slip of it.
A mistake is answered by its file, its line and what to write instead, before any host is touched.
Editors check `group_vars/all.yml` while you write it, by [settings.schema.json](settings.schema.json); with the YAML
language server, the first line `# yaml-language-server: $schema=…/docs/settings.schema.json` names it.
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


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 when ``--check`` finds a page stale."""
    parser = argparse.ArgumentParser(prog="python -m casa_install.site.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if one of them is stale")
    parser.add_argument("--folder", type=Path, default=DOCS, help="where they are, docs by default")
    chosen = parser.parse_args(arguments)
    stale = False
    for name, content in (("settings.md", settings_page()), ("settings.schema.json", schema())):
        file = chosen.folder / name
        if not chosen.check:
            file.write_text(content)
        elif not file.is_file() or file.read_text() != content:
            print(f"{file} is stale: run python -m casa_install.site.docs", file=sys.stderr)
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
