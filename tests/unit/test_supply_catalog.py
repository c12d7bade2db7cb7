"""The catalog: what it accepts, what it says about mistakes, and what keys depend on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from casa_install.phases import CLUSTER_IMAGES, PROGRAMS, USER_IMAGES
from casa_install.supply.catalog import ROOT, Catalog, CatalogError, catalog, read_catalog
from casa_install.supply.keys import TOOLS, Keys

SMALL = """\
artifacts:
  - {name: pause-program, kind: c, version: "1", source: images/pause/pause.c, binary: pause}
  - {name: pause, kind: image, version: "1", inputs: [pause-program], tag: "3.10.2"}
  - {name: second, kind: alias, version: "1", of: pause}
  - {name: other, kind: image, version: "1"}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "catalog.yml"
    path.write_text(text)
    return path


def test_the_projects_catalog_has_what_the_phases_name() -> None:
    known = catalog()
    for name in PROGRAMS:
        assert not known.get(name, image=False).is_image
    for name in CLUSTER_IMAGES + USER_IMAGES:
        assert known.get(name, image=True).is_image


def test_inputs_come_before_what_is_made_from_them() -> None:
    seen: set[str] = set()
    for entry in catalog().order:
        assert {e.id for e in catalog().inputs(entry)} <= seen, entry.name
        seen.add(entry.id)


def test_an_image_that_shares_a_programs_name_is_made_from_it() -> None:
    known = catalog()
    images = {e.name: e for e in known.order if e.is_image}
    shared = [e for e in known.order if not e.is_image and e.name in images]
    assert shared
    for program in shared:
        assert program in known.closure([images[program.name]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("artifacts: [", "not YAML"),
        ("things: []", "write one key 'artifacts:'"),
        ("artifacts:\n  - {name: a, kind: c, version: '1', source: a.c, binary: a}\n  - {name: b, kind: jar}",
         "catalog.yml:3: artifact 'b'"),
        ("artifacts:\n  - {name: a, kind: image, version: v1}", "catalog.yml:2: artifact 'a': version"),
        ("artifacts:\n  - {name: a, kind: image, version: '1', input: [b]}", "input: Extra inputs"),
        ("artifacts:\n  - {name: a, kind: image, version: '1', files: [../b]}", "relative path without '..'"),
        ("artifacts:\n  - {name: a, kind: image, version: '1', inputs: [bse]}", "'bse', which is not in the catalog"),
        ("artifacts:\n  - {name: a, kind: image, version: '1'}\n  - {name: a, kind: image, version: '2'}",
         "catalog.yml:3: there is already an image 'a'"),
        ("artifacts:\n  - {name: a, kind: image, version: '1', inputs: [b]}\n"
         "  - {name: b, kind: image, version: '1', inputs: [a]}", "inputs form a circle: images/a <- images/b"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CatalogError) as raised:
        read_catalog(write(tmp_path, text))
    assert message in str(raised.value)


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no program 'pause' in the catalog; there are pause-program"):
        read_catalog(write(tmp_path, SMALL)).get("pause", image=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with recipes of its own."""
    shutil.copytree(ROOT / TOOLS, tmp_path / TOOLS)
    for name in ("pause", "other"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "Containerfile").write_text("FROM scratch\n")
    (tmp_path / "images/pause/pause.c").write_text("int main(void) { return 0; }\n")
    return tmp_path


def keys(project: Path, text: str = SMALL) -> dict[str, str]:
    known: Catalog = read_catalog(write(project, text))
    all_keys = Keys(known, project)
    return {e.name: all_keys.key(e) for e in known.order}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_a_recipe_file_changes_the_keys_of_all_that_is_made_from_it(project: Path) -> None:
    before = keys(project)
    assert keys(project) == before
    (project / "images/other/Containerfile").write_text("FROM scratch\nENV A=b\n")
    assert changed(before, keys(project)) == {"other"}
    before = keys(project)
    (project / "images/pause/pause.c").write_text("int main(void) { return 1; }\n")
    assert changed(before, keys(project)) == {"pause-program", "pause", "second"}


def test_modes_tools_and_versions_are_part_of_the_key(project: Path) -> None:
    before = keys(project)
    (project / "images/other/Containerfile").chmod(0o755)
    assert changed(before, keys(project)) == {"other"}
    assert changed(before, keys(project, SMALL.replace('c, version: "1"', 'c, version: "2"'))) >= {"pause-program"}
    (project / "images/other/Containerfile").write_text("FROM scratch\nRUN /run/supply/debian-packages tini\n")
    before = keys(project)
    (project / TOOLS / "debian-packages").write_text("#!/bin/sh\n")
    assert changed(before, keys(project)) == {"other"}


def test_notes_tests_and_expected_times_are_not(project: Path) -> None:
    before = keys(project)
    (project / "images/other/tests").mkdir()
    (project / "images/other/tests/test_it.py").write_text("")
    (project / "images/other/README.md").write_text("words")
    (project / "images/other/requirements.in").write_text("words")
    (project / "images/other/.cache").write_text("words")
    slower = SMALL.replace("{name: other,", "{name: other, seconds: 5,")
    assert keys(project, slower) == before


def test_a_recipe_that_is_not_there_is_an_error(project: Path) -> None:
    shutil.rmtree(project / "images/other")
    with pytest.raises(FileNotFoundError, match="other: no recipe: put files into images/other/"):
        keys(project)
