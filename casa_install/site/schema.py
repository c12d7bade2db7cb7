"""JSON Schema of the site's settings as they stand in ``group_vars/all.yml``, made from the model."""

from __future__ import annotations

import json
from typing import Any

from casa_install.site.model import HostSettings, Settings
from casa_install.site.names import BARE

_NUMBER = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_ADDRESS = rf"({_NUMBER}\.){{3}}{_NUMBER}"
_FORMATS = {"ipv4": rf"^{_ADDRESS}$", "ipv4network": rf"^{_ADDRESS}/([12]?[0-9]|3[0-2])$"}
"""Formats of pydantic -> patterns, because editors let every format pass."""


def schema() -> str:
    """The whole document; no setting is required in it, because one may as well stand in the INI file."""
    made = Settings.model_json_schema()
    made["$defs"]["Vaulted"] = {"type": "string", "pattern": r"^\$ANSIBLE_VAULT;",
                                "description": "What ansible-vault encrypt_string prints."}
    return json.dumps({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of a Coffea-casa analysis facility",
        "description": "group_vars/all.yml beside an inventory of casa-install; written by python -m "
                       "casa_install.site.docs. Editors learn the tag !vault as a scalar of their own.",
        "type": "object",
        "properties": {f"casa_{name}": _plain(value) for name, value in made["properties"].items()},
        "patternProperties": {
            rf"^casa_({'|'.join(HostSettings.model_fields)})$": {
                "description": "A setting of one host: write it on the host's line or in host_vars.", "not": {}},
            rf"^({'|'.join(BARE)})$": {
                "description": "Not a setting: the names of settings begin with casa_.", "not": {}},
            rf"^[Cc][Aa][Ss][Aa](?!_({'|'.join([*Settings.model_fields, *HostSettings.model_fields])})$)": {
                "description": "Not a setting: docs/settings.md lists them all.", "not": {}},
        },
        "additionalProperties": True,
        "$defs": {name: _plain(value) for name, value in made["$defs"].items()},
    }, indent=2) + "\n"


def _plain(node: Any) -> Any:
    """A node without made-up titles and without null, which is no value of a setting; formats become patterns."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = dict(node)
    variants = [each for each in node.pop("anyOf", []) if each != {"type": "null"}]
    if variants:
        (only,) = variants
        node = only | {name: value for name, value in node.items() if value is not None}
    if isinstance(node.get("title"), str):
        del node["title"]
    if isinstance(node.get("description"), str):
        node["description"] = " ".join(node["description"].split()).replace("``", "`")
    pattern = _FORMATS.get(str(node.get("format")))
    if pattern:
        node["pattern"] = pattern
    return {name: _plain(value) for name, value in node.items() if not (name == "default" and value is None)}
