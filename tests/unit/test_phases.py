"""Which phases a command line chooses, and how long they are expected to take."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from casa_install import cli, phases, planning
from casa_install.engine.journal import Journal
from casa_install.facility import Facility
from casa_install.phases import PHASES
from casa_install.site.model import Site
from tests.unit import site_inventories


def options(*words: str) -> argparse.Namespace:
    """The parsed command line of an apply."""
    return cli.parser().parse_args(["apply", "-i", "site.ini", *words])


@pytest.mark.parametrize(("words", "told"), [
    (["--only", "condr"], "argument --only: 'condr' is no phase; did you mean condor?"),
    (["--only", "dns,cilum"], "'cilum' is no phase; did you mean cilium?"),
    (["--from", "xyz"], "argument --from: 'xyz' is no phase; phases are hosts, programs,"),
    (["--from", "dns", "--only", "hub"], "not allowed with argument"),
    (["--from", "dns", "--no-skip"], "not allowed with argument"),
    (["--only", ""], "'' is no phase"),
])
def test_a_choice_that_means_nothing_is_refused(words: list[str], told: str,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        options(*words)
    assert refused.value.code == 2
    assert told in capsys.readouterr().err


def test_a_phase_and_all_that_need_it_are_chosen_in_order() -> None:
    chosen = phases.following("condor", PHASES)
    assert [p.name for p in chosen] == ["condor", "worker", "hub"]
    assert [p.needs for p in chosen] == [(), ("condor",), ("worker",)]
    assert {p.name for p in phases.following("hosts", PHASES)} == {p.name for p in PHASES} - {
        "programs", "images", "data", "reference"}
    assert [p.name for p in phases.only(options("--only", "hub, dns").only, PHASES)] == ["dns", "hub"]


def test_a_rehearsals_phase_is_refused_on_a_real_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory = site_inventories.write(tmp_path, site_inventories.GOOD)
    assert cli.main(["--only", "origin", "-i", str(inventory)]) == 2
    assert "origin: phases of rehearsals only; nothing was changed." in capsys.readouterr().err
    assert not (tmp_path / ".casa" / "journal.sqlite").exists()


def test_every_phase_has_a_shipped_measurement() -> None:
    assert [p.name for p in PHASES if bool(p.artifacts) == bool(p.seconds)] == []


def test_an_empty_cache_is_expected_to_be_filled_first(rehearsal: Site, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    facility = Facility(rehearsal.model_copy(update={"inventory": tmp_path / "site.ini"}))
    journal = Journal(tmp_path / "journal.sqlite")
    rows = [planning.planned(facility, phase, journal) for phase in phases.phases_of(rehearsal)]
    seconds = {row["phase"]: row["seconds"] for row in rows}
    assert seconds["programs"] > 600
    assert seconds["images"] > 60
    assert {name: s for name, s in seconds.items() if name not in ("programs", "images")} == {
        p.name: p.seconds for p in PHASES if not p.artifacts}
    whole = planning.total(rows)
    assert max(seconds.values()) < whole < sum(seconds.values())
    for phase in PHASES:
        journal.begin_run("apply")
        journal.begin_phase(phase.name)
        fingerprint = facility.fingerprint(phase) if phase.playbook else None
        journal.end_phase(phase.name, "converged", 3, fingerprint)
    done = planning.expected(facility, phases.phases_of(rehearsal), journal)
    assert {name for name, s in done.items() if s} == {"programs", "images"}, "nothing is built in the empty cache"


def of_roles(tree: Path, facility: Facility) -> None:
    with (tree / "roles" / "registry" / "tasks" / "main.yml").open("a") as file:
        file.write("# another line\n")


def of_what_roles_share(tree: Path, facility: Facility) -> None:
    with (tree / "module_utils" / "casa_record.py").open("a") as file:
        file.write("# another line\n")


def of_the_catalog(tree: Path, facility: Facility) -> None:
    known = facility.supply.key
    facility.supply.key = lambda entry: known(entry)[:: -1 if entry.name == "containerd" else 1]  # type: ignore[method-assign]


def of_a_host(tree: Path, facility: Facility) -> None:
    moved = [h.model_copy(update={"address": IPv4Address("10.90.0.77")}) if h.name == "origin-1" else h
             for h in facility.site.hosts]
    facility.site = facility.site.model_copy(update={"hosts": tuple(moved)})


def of_a_setting(tree: Path, facility: Facility) -> None:
    settings = facility.site.settings.model_copy(update={"admins": ("bob",)})
    facility.site = facility.site.model_copy(update={"settings": settings})


EVERY = {phase.name for phase in PHASES if phase.playbook}


@pytest.mark.parametrize(("change", "again", "never"), [
    (of_roles, {"registry"}, EVERY - {"registry"}),
    (of_what_roles_share, EVERY, set()),
    (of_the_catalog, {"kubernetes"}, EVERY - {"kubernetes"}),
    (of_a_host, {"base", "dns", "origin"}, {"registry", "hub"}),
    (of_a_setting, {"hub"}, {"base", "dns", "registry", "kubernetes", "cilium", "origin"}),
])
def test_a_phase_runs_again_when_something_changes_that_decides_what_it_makes(
        rehearsal: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        change: Callable[[Path, Facility], None], again: set[str], never: set[str]) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for folder in ("roles", "library", "module_utils"):
        shutil.copytree(phases.ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("casa_install.facility.ROOT", tmp_path)
    facility = Facility(rehearsal.model_copy(update={"inventory": tmp_path / "site.ini"}))
    before = fingerprints(facility)
    assert fingerprints(facility) == before
    change(tmp_path, facility)
    changed = {name for name, digest in fingerprints(facility).items() if digest != before[name]}
    assert again - changed == set()
    assert never & changed == set()


def fingerprints(facility: Facility) -> dict[str, str]:
    """Phase -> digest of what decides what it makes."""
    return {phase.name: facility.fingerprint(phase) for phase in phases.phases_of(facility.site) if phase.playbook}
