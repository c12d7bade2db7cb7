"""Whatever is done to a good inventory, it loads or is refused; nothing else ever happens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casa_install.site import HostSettings, InventoryErrors, Profile, Settings, Site
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


@st.composite
def spoilt(draw: st.DrawFn, text: str) -> bytes:
    """The text as bytes after a few of them were changed, cut or put in."""
    content = bytearray(text.encode())
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        content[start:start + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(content)


BREAK = re.compile(rb"\r\n|[\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9]")
"""Between lines, as YAML counts them."""
DIGITS = "DIGITS"
"""Stands for a number of more digits than Python prints."""
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=4),
                    st.dates(), st.sampled_from([1 << 64, DIGITS]))
VALUES = st.recursive(SCALARS, lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(sorted(Profile.model_fields)), SCALARS),
                                                 inner, max_size=4)), max_leaves=8)
NAMES = st.sampled_from([f"casa_{name}" for name in (*Settings.model_fields, *HostSettings.model_fields)]
                        + ["ansible_host", "ansible_port", "ansible_become_password", "casa_", "x"])


def as_text(content: str | bytes) -> str:
    return content if isinstance(content, str) else os.fsdecode(content)


def survive(ini: str | bytes, variables: str | bytes, file: str = "group_vars/all.yml") -> None:
    """Loads or is refused, and every problem names a line that is there, a mistake and a remedy, in plain words."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            site = load(folder, as_text(ini), {file: as_text(variables)})
        except InventoryErrors as refused:
            assert refused.problems
            for problem in refused.problems:
                lines = len(BREAK.split(problem.file.read_bytes())) if problem.file.is_file() else 1
                assert problem.file.is_relative_to(folder)
                assert 1 <= problem.line <= lines, problem
                assert problem.message and problem.remedy
                assert f"{problem.message}{problem.remedy}".isprintable(), problem
        else:
            assert isinstance(site, Site)


def rounds(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    decorator: Callable[[Callable[..., None]], Callable[..., None]] = settings(
        max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    return decorator


@rounds(120)
@given(mutated(GOOD), mutated(YAML))
def test_texts(ini: str, variables: str) -> None:
    survive(ini, YAML)
    survive(GOOD, variables)


@rounds(80)
@given(mutated(GOOD), mutated(YAML))
def test_both_at_once(ini: str, variables: str) -> None:
    survive(ini, variables)


@rounds(120)
@given(spoilt(GOOD), spoilt(YAML))
def test_bytes(ini: bytes, variables: bytes) -> None:
    survive(ini, YAML)
    survive(GOOD, variables)


@rounds(120)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4),
       st.sampled_from(["group_vars/all.yml", "group_vars/condor_execute.yml", "host_vars/exec-1.yml"]))
def test_values_of_every_type(variables: dict[str, Any], file: str) -> None:
    survive(GOOD, yaml.safe_dump(variables).replace(DIGITS, f"0x{'f' * 5000}"), file)


@rounds(80)
@given(NAMES, VALUES)
def test_values_in_the_ini_file(name: str, value: Any) -> None:
    survive(f"{GOOD}{name}={value!r}\n".replace(repr(DIGITS), "1" * 5000), YAML)


@rounds(60)
@given(st.binary(max_size=200))
def test_noise(content: bytes) -> None:
    survive(content, YAML)
    survive(GOOD, content)
