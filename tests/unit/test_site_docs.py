"""docs/settings.md and docs/settings.schema.json come from the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from casa_install.site import GROUPS, InventoryErrors, Settings
from casa_install.site.docs import DOCS, main, settings_page
from tests.unit.site_inventories import GOOD, load

VALIDATOR = jsonschema.Draft202012Validator(json.loads((DOCS / "settings.schema.json").read_text()))
GOOD_YAML = """\
casa_site_name: casa
casa_domain: casa.lan
casa_network: 10.1.0.0/24
casa_public_address: 10.1.0.200
casa_users: [alice, bob]
casa_admins: [alice]
casa_authenticator: dummy
casa_oidc_client_secret: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  6162
casa_profiles:
  - {slug: small, title: 1 core, cores: 0.5, memory: 2Gi}
casa_dns_validate: false
casa_xcache_origin: storage.lan:1094
casa_xcache_memory: 16
ansible_user: root
own_variable: {any: [thing]}
"""


class Loader(yaml.SafeLoader):
    """Reads a vault value as the text it is, as an editor does."""


Loader.add_constructor("!vault", lambda loader, node: node.value)


def messages(text: str) -> list[str]:
    data: Any = yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(data)]


def test_pages_are_fresh() -> None:
    assert main(["--check"]) == 0, "run python -m casa_install.site.docs"


def test_stale_pages_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path)]) == 0
    assert main(["--check", "--folder", str(tmp_path)]) == 0
    for name in ("settings.md", "settings.schema.json"):
        content = (tmp_path / name).read_text()
        (tmp_path / name).write_text(content + " ")
        assert main(["--check", "--folder", str(tmp_path)]) == 1
        assert capsys.readouterr().err == f"{tmp_path / name} is stale: run python -m casa_install.site.docs\n"
        (tmp_path / name).write_text(content)


def test_page_has_everything() -> None:
    page = settings_page()
    assert all(f"`casa_{name}`" in page for name in Settings.model_fields)
    assert all(f"`{name}`" in page for name in GROUPS)


def test_the_schema_is_a_schema_with_words_for_everything() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
    assert set(VALIDATOR.schema["properties"]) == {f"casa_{name}" for name in Settings.model_fields}
    for properties in (VALIDATOR.schema["properties"], VALIDATOR.schema["$defs"]["Profile"]["properties"]):
        assert all(each["description"] for each in properties.values())


def split(text: str) -> tuple[str, str]:
    """The good inventory's hosts alone, and variables for them."""
    return GOOD[:GOOD.index("[all:vars]")], text


def test_a_good_file_passes_both(tmp_path: Path) -> None:
    ini, variables = split(GOOD_YAML)
    assert messages(variables) == []
    assert load(tmp_path, ini, {"group_vars/all.yml": variables}).settings.xcache_memory == 16


@pytest.mark.parametrize(("old", "new", "path"), [
    ("casa_domain:", "casa_domian:", "$.casa_domian"),
    ("casa_domain:", "Casa_Domain:", "$.Casa_Domain"),
    ("casa_xcache_memory: 16", "xcache_memory: 16", "$.xcache_memory"),
    ("casa_xcache_memory: 16", "casa_condor_cpus: 4", "$.casa_condor_cpus"),
    ("casa.lan", "Casa.lan", "$.casa_domain"),
    ("10.1.0.0/24", "10.1.0.0", "$.casa_network"),
    ("10.1.0.200", "10.1.0.300", "$.casa_public_address"),
    ("10.1.0.200", "167837896", "$.casa_public_address"),
    ("[alice, bob]", "alice", "$.casa_users"),
    ("[alice, bob]", "[]", "$.casa_users"),
    ("bob", "Bob Smith", "$.casa_users[1]"),
    ("dummy", "ldap", "$.casa_authenticator"),
    ("!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162", "hunter2", "$.casa_oidc_client_secret"),
    ("slug: small, ", "", "$.casa_profiles[0]"),
    ("cores: 0.5", "cores: 0", "$.casa_profiles[0].cores"),
    ("cores: 0.5", "cors: 1, cores: 1", "$.casa_profiles[0]"),
    ("2Gi", "2GB", "$.casa_profiles[0].memory"),
    ("casa_dns_validate: false", "casa_dns_validate: perhaps", "$.casa_dns_validate"),
    ("storage.lan:1094", "storage.lan", "$.casa_xcache_origin"),
    ("casa_xcache_memory: 16", "casa_xcache_memory: 513", "$.casa_xcache_memory"),
    ("casa_xcache_memory: 16", "casa_xcache_memory: yes", "$.casa_xcache_memory"),
    ("casa_xcache_memory: 16", "casa_xcache_memory:", "$.casa_xcache_memory"),
])
def test_what_the_inventory_refuses_the_schema_refuses(tmp_path: Path, old: str, new: str, path: str) -> None:
    assert old in GOOD_YAML
    ini, variables = split(GOOD_YAML.replace(old, new, 1))
    found = messages(variables)
    assert [each.split(": ")[0] for each in found] == [path], found
    with pytest.raises(InventoryErrors):
        load(tmp_path, ini, {"group_vars/all.yml": variables})
