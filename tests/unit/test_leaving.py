"""What may leave a site, what goes with it, and what is refused before any host is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from casa_install import cli, planning
from casa_install.engine import resume
from casa_install.engine.farewell import Farewell
from casa_install.engine.journal import REMOVED, Journal
from casa_install.engine.playbook import Failure
from casa_install.facility import Facility
from casa_install.leaving import Leaving, Scope, what_is_left_to_do
from casa_install.phases import PHASES, PLAYBOOKS, phases_of
from casa_install.site.load import load_site
from casa_install.site.model import Site
from tests.unit import site_inventories

EVERYTHING = [phase.name for phase in PHASES if phase.playbook]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two workers, two execute points, one of everything else."""
    return site_inventories.load(tmp_path, site_inventories.GOOD)


@pytest.mark.parametrize(("host", "group"), [
    ("kube-1", "kube_control"), ("gateway-1", "gateway"), ("condor-1", "condor_manager"),
    ("condor-1", "condor_access"), ("xcache-1", "xcache"), ("dns-1", "dns"), ("dns-1", "registry")])
def test_a_host_that_the_rest_needs_stays(site: Site, host: str, group: str) -> None:
    refusals = Leaving(site, Scope((host,))).refusals(EVERYTHING)
    assert [refusal for refusal in refusals if f"no host is in [{group}]; write the host" in refusal]
    assert all(refusal.startswith(f"{host} cannot go, for the rest would be no site; {site.inventory}:")
               for refusal in refusals)


@pytest.mark.parametrize("hosts", [("kube-2",), ("kube-3",), ("exec-1",), ("exec-2", "kube-3")])
def test_a_host_of_several_may_go(site: Site, hosts: tuple[str, ...]) -> None:
    assert Leaving(site, Scope(hosts)).refusals(EVERYTHING) == []


def test_the_last_of_a_group_stays(site: Site) -> None:
    for hosts in (("kube-2", "kube-3"), ("exec-2", "exec-1")):
        assert Leaving(site, Scope(hosts)).refusals(EVERYTHING)


def test_a_site_whose_settings_are_encrypted_may_lose_a_host(tmp_path: Path) -> None:
    inventory = site_inventories.write(tmp_path, site_inventories.GOOD)
    password = tmp_path / "password"
    password.write_text("of the admin's own\n")
    settings = tmp_path / "group_vars" / "all.yml"
    settings.parent.mkdir(exist_ok=True)
    vault = VaultLib([("default", VaultSecret(b"of the admin's own"))])
    settings.write_bytes(vault.encrypt("casa_dns_forwarders: [10.1.0.1]\n"))
    site = load_site(inventory, vault_passwords=[password])
    assert Leaving(site, Scope(("kube-2",))).refusals(EVERYTHING) == []


def test_an_unknown_host_is_named_with_the_nearest(site: Site) -> None:
    assert Leaving(site, Scope(("exec-3",))).refusals(EVERYTHING) == [
        "exec-3 is not in the inventory; did you mean exec-2?"]


def test_a_host_loses_its_own_phases_and_others_nothing(site: Site) -> None:
    leaving = Leaving(site, Scope(("exec-2",)))
    assert {name: hosts for name, hosts in leaving.phases.items() if hosts} == dict.fromkeys(
        ("base", "dns", "condor", "worker"), ("exec-2",))
    assert (leaving.hosts, leaving.components) == (("exec-2",), ())
    assert (leaving.partly("condor"), leaving.partly("kubernetes")) == (("exec-2",), ())


def test_a_component_goes_from_all_its_hosts(site: Site) -> None:
    leaving = Leaving(site, Scope(components=("condor", "worker")))
    assert {name: hosts for name, hosts in leaving.phases.items() if hosts} == {
        "condor": ("condor-1", "exec-1", "exec-2"), "worker": ("exec-1", "exec-2")}
    assert leaving.partly("condor") == ()


def test_the_whole_facility_is_every_phase_on_all_its_hosts(site: Site) -> None:
    leaving = Leaving(site, Scope())
    assert leaving.phases == {phase.name: tuple(host.name for host in phase.hosts(site))
                              for phase in phases_of(site) if phase.playbook}
    assert leaving.refusals(EVERYTHING) == []


@pytest.mark.parametrize(("components", "told"), [
    (("base",), "base cannot go alone, for all the others need it; casa-install remove takes the whole facility"),
    (("traefik",), "traefik is needed by hub; what goes together: --component traefik,hub"),
    (("cilium",), "cilium is part of kubernetes; what goes together: --component "
                  "kubernetes,cilium,storage,traefik,hub"),
    (("worker",), "worker is part of condor; what goes together: --component condor,worker"),
    (("condor",), "condor is needed by worker; what goes together: --component condor,worker"),
    (("registry",), "registry is needed by condor, kubernetes, cilium, storage, traefik, worker, hub; what goes "
                    "together: --component registry,condor,kubernetes,cilium,storage,traefik,worker,hub"),
])
def test_a_component_that_others_need_stays(site: Site, components: tuple[str, ...], told: str) -> None:
    leaving = Leaving(site, Scope(components=components))
    assert leaving.refusals(EVERYTHING) == [told]
    if "--component " in told:
        named = told.rpartition("--component ")[2].split(",")
        assert Leaving(site, Scope(components=tuple(named))).refusals(EVERYTHING) == [], "what it says may go, may go"


@pytest.mark.parametrize("components", [("hub",), ("xcache",), ("xcache", "hub"), ("condor", "worker")])
def test_a_component_that_nobody_needs_may_go(site: Site, components: tuple[str, ...]) -> None:
    assert Leaving(site, Scope(components=components)).refusals(EVERYTHING) == []


def test_what_is_gone_needs_nothing(site: Site) -> None:
    without = [name for name in EVERYTHING if name != "hub"]
    assert Leaving(site, Scope(components=("traefik",))).refusals(without) == []


@pytest.mark.parametrize(("words", "told"), [
    (["kube-1"], "refused: kube-1 cannot go"), (["--component", "images"], "images is nothing that stands on hosts"),
    (["--component", "origin"], "origin is a phase of rehearsals only"),
    (["exec-2", "--component", "hub"], "hosts or --component, not both"),
    (["exec-2"], "remove needs --yes when nobody can be asked."),
])
def test_a_removal_that_is_refused_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                   words: list[str], told: str) -> None:
    inventory = site_inventories.write(tmp_path, site_inventories.GOOD)
    assert cli.main(["remove", *words, "-i", str(inventory)]) == 2
    assert told in capsys.readouterr().out
    assert not (tmp_path / ".casa" / "logs").exists()


@pytest.mark.parametrize("word", ["0", "-1", "soon", ""])
def test_a_wait_is_a_number_of_minutes(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["remove", f"--wait={word}", "-i", "site.ini"])
    assert "is no number of minutes; write 1 or more" in capsys.readouterr().err


def test_what_would_be_lost_is_refused_without_force(site: Site) -> None:
    node = Leaving(site, Scope(("kube-2",)))
    lost = Farewell(jobs={"alice": 2}, claims={"kube-2": ["claim-bob"]})
    jobs, volumes = lost.refusals(node, force=False)
    assert "jobs are in the queue (2 of alice)" in jobs
    assert "kube-2 has the volumes of claim-bob; copy their files first" in volumes
    assert lost.refusals(node, force=True) == []
    assert "the cluster has to let go of kube-2" in Farewell(silent=("kube-1",)).refusals(node, force=True)[0]
    assert Farewell(silent=("kube-2",)).refusals(node, force=False) == []
    failure = Failure("kube-2", "The host answers", "Missing sudo password")
    assert Farewell(failures=(failure,)).refusals(node, force=True) == [
        "kube-2 could not be asked (The host answers): Missing sudo password"]


def test_the_admin_is_told_which_lines_to_take_out(site: Site) -> None:
    [line] = [number for number, text in enumerate(site_inventories.GOOD.splitlines(), 1) if "exec-2" in text]
    assert f"({site.inventory}:{line})" in what_is_left_to_do(Leaving(site, Scope(("exec-2",))))


def test_every_phase_on_hosts_has_its_removal() -> None:
    plays = yaml.safe_load((PLAYBOOKS / "remove.yml").read_text())
    patterns = " ".join(play.get("hosts", "") for play in plays)
    own = [phase.name for phase in PHASES if phase.playbook and phase.part_of != "kubernetes"]
    assert [name for name in own if f"leaving.{name}" not in patterns] == []


def test_a_removed_phase_is_planned_and_is_no_failure(tmp_path: Path, site: Site) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.begin_run("remove --component xcache")
    journal.begin_phase("xcache")
    journal.end_phase("xcache", REMOVED, 0)
    last = journal.newest("xcache")
    assert last
    assert not last.complete
    assert resume.sentence(journal, ["xcache"]) is None
    [phase] = [phase for phase in PHASES if phase.name == "xcache"]
    assert planning.planned(Facility(site), phase, journal)["change"] == "runs again: it was removed"
    journal.close()
