"""Whatever is done to a good inventory, it loads or is refused; nothing else ever happens."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casa_install.site import InventoryErrors
from tests.unit.site_inventories import GOOD, load

YAML = """\
casa_profiles:
  - slug: small
    title: "1 core"
    cores: 1
    memory: 2Gi
casa_pod_network: 10.244.0.0/16
casa_oidc_client_secret: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  6162
"""
PIECES = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["[", "]", "=", ":", "#", '"', "'", "\n", "[all:vars]\n", "[dns:children]\n", "[1:9]", "{{",
                     "!vault ", "&a ",
                     "*a", "- ", "CHANGEME", "casa_", "\0", "\udcff", "99999999999999999999", "[[[[", "{", "0x",
        "1e999", "None",
                     "!!binary ", "!!python/object:os.system ", "? ", "<<: ", "%", "---\n", "\t"]))


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """The text after a few cuts, repeats, swaps of lines and insertions."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)))
        lines = text.split("\n")
        one, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["cut", "insert", "repeat", "swap"])):
            case "cut":
                text = text[:start] + text[end:]
            case "insert":
                text = text[:start] + draw(PIECES) + text[end:]
            case "repeat":
                text = "\n".join([*lines[:one], lines[other], *lines[one:]])
            case "swap":
                lines[one], lines[other] = lines[other], lines[one]
                text = "\n".join(lines)
    return text


def survive(ini: str, variables: str) -> None:
    with TemporaryDirectory() as folder, contextlib.suppress(InventoryErrors):
        load(Path(folder), ini, {"group_vars/all.yml": variables})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mutated(GOOD))
def test_inventory(ini: str) -> None:
    survive(ini, YAML)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mutated(YAML))
def test_variables(variables: str) -> None:
    survive(GOOD, variables)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_noise(content: bytes) -> None:
    survive(content.decode(errors="surrogateescape"), YAML)
