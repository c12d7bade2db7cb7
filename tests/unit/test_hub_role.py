"""The roles hub and traefik: variables made from a Site, and the manifests that Ansible renders from them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from casa_install.credentials import Credentials
from casa_install.rolevars import hub, traefik
from casa_install.site.load import load_site
from casa_install.site.model import Profile, Site
from casa_install.supply import Supply

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "images" / "hub"))

from casa_hub.settings import CredentialsSettings, HubSettings  # noqa: E402

KINDS = ("ingressroutes", "ingressroutetcps", "middlewares", "tlsoptions")
Manifests = dict[tuple[str, str, str], dict[str, Any]]


class Names:
    """Names of supplied things, without making any."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(self, name: str) -> str:
        return f"registry.casa.test:5000/casa/{name}:1"

    def place(self, name: str) -> Path:
        return self.folder


def with_docker(site: Site) -> Site:
    """The site as if its jobs ran in docker."""
    return site.model_copy(update={"settings": site.settings.model_copy(update={"job_containers": "docker"})})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(made / "config"))
        yield made


@pytest.fixture(scope="module")
def site(folder: Path) -> Site:
    loaded = load_site(ROOT / "inventory" / "rehearsal" / "site.ini")
    return loaded.model_copy(update={"inventory": folder / "site.ini"})


@pytest.fixture(scope="module")
def variables(site: Site, folder: Path) -> dict[str, Any]:
    kinds = [
        {"kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.traefik.io"},
         "spec": {"names": {"plural": plural}}}
        for plural in KINDS
    ]
    (folder / "crds.yml").write_text(yaml.safe_dump_all(kinds))
    supply, credentials = cast(Supply, Names(folder)), Credentials(site)
    return hub.variables(site, supply, credentials) | traefik.variables(site, supply, credentials)


@pytest.fixture(scope="module")
def rendered(variables: dict[str, Any], folder: Path) -> dict[str, Manifests]:
    """What Ansible makes of the roles' templates, in one run: each costs seconds."""
    lists = {"hub": "hub_rooms + hub_programs", "traefik": "traefik_objects"}
    (folder / "templates").mkdir()  # where templates are looked up: beside the playbook
    for role in lists:
        for template in (ROOT / "roles" / role / "templates").iterdir():
            (folder / "templates" / template.name).symlink_to(template)
    play = [{
        "hosts": "localhost", "gather_facts": False, "connection": "local",
        "vars": {"ansible_python_interpreter": sys.executable},
        "vars_files": [str(ROOT / "roles" / role / name) for role in lists
                       for name in ("vars/debian.yml", "defaults/main.yml")],
        "tasks": [
            {"ansible.builtin.copy": {"dest": str(folder / f"{role}.json"), "mode": "0600",
                                      "content": f"{{{{ ({objects}) | to_json }}}}"}}
            for role, objects in lists.items()
        ],
    }]
    (folder / "play.yml").write_text(json.dumps(play))
    (folder / "variables.json").write_text(json.dumps(variables))
    run = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-e",
         f"@{folder / 'variables.json'}", str(folder / "play.yml")],
        check=False, capture_output=True, text=True, cwd=folder,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return {
        role: {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o
               for o in json.loads((folder / f"{role}.json").read_text())}
        for role in lists
    }


def test_configurations_are_what_the_programs_read(variables: dict[str, Any]) -> None:
    settings = HubSettings.model_validate_json(json.dumps(variables["hub_config"]))
    assert settings.users == ("alice", "bob")
    assert settings.profiles[1].worker is not None
    assert settings.environment["CASA_WORKER_IMAGE"] == "/var/lib/casa/worker/"
    assert settings.environment["CASA_SCHEDD_ADDRESS"] == "<10.90.0.21:9618?sock=schedd>"
    CredentialsSettings.model_validate_json(json.dumps(variables["hub_credentials_config"]))


def test_docker_finds_the_image_by_its_name(site: Site, folder: Path) -> None:
    docker = with_docker(site)
    environment = hub.user_environment(docker, cast(Supply, Names(folder)))
    assert environment["CASA_WORKER_IMAGE"] == "registry.casa.test:5000/casa/worker:1"


def test_rehearsals_are_promised_little_and_iron_everything(site: Site) -> None:
    entry = site.settings.profiles[0]
    small = hub.profile(entry, rehearsal=True)["notebook"]
    full = hub.profile(entry, rehearsal=False)["notebook"]
    assert small["memory"] == full["memory"] == 2 << 30
    assert small["memory_guarantee"] < full["memory_guarantee"] == full["memory"]
    assert small["cores_guarantee"] < full["cores_guarantee"] == full["cores"]


def test_a_worker_takes_its_share_from_the_profile() -> None:
    entry = Profile(slug="big", title="t", cores=8, memory="16Gi", worker=True, worker_cores=4, worker_memory="8Gi")
    made = hub.profile(entry, rehearsal=False)
    assert (made["notebook"]["cores"], made["worker"]["cores"]) == (4, 4)
    assert made["notebook"]["memory"] == made["worker"]["memory"] == 8 << 30
    greedy = entry.model_copy(update={"worker_cores": 8})
    with pytest.raises(ValueError, match=r"'big'.*nothing of 8 cores.*lower worker_cores"):
        hub.profile(greedy, rehearsal=False)


def test_pods_reach_workers_but_no_daemon_of_a_node(site: Site) -> None:
    execute, node = site.group("condor_execute")[0], site.group("kube_workers")[0]
    assert hub.worker_ports(execute, site.nodes) == [{"port": 1024, "endPort": 65535}]
    ranges = hub.worker_ports(node, site.nodes)
    for port in (2379, 6443, 10250):
        assert not any(one["port"] <= port <= one["endPort"] for one in ranges)
    assert any(one["port"] <= 40000 <= one["endPort"] for one in ranges)
    assert {place["cidr"] for place in hub.user_egress(site)} == {
        "10.90.0.21/32", "10.90.0.31/32", "10.90.0.32/32", "10.90.0.41/32"}


def test_no_secret_is_in_an_object_that_shows_in_a_diff(
    rendered: dict[str, Manifests], variables: dict[str, Any]
) -> None:
    text = json.dumps(list(rendered["hub"].values()))
    for secret in [*variables["hub_environment"].values(), *variables["hub_credentials_keys"].values()]:
        assert json.dumps(secret)[1:-1] not in text


def test_every_room_is_closed_by_default(rendered: dict[str, Manifests]) -> None:
    objects = rendered["hub"]
    for room in ("casa-hub", "casa-users"):
        labels = objects["Namespace", "", room]["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        policy = objects["NetworkPolicy", room, "default-deny"]["spec"]
        assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for program in ("hub", "proxy", "credentials"):
        pods = objects["Deployment", "casa-hub", program]["spec"]["template"]
        wall = objects["NetworkPolicy", "casa-hub", program]["spec"]
        assert wall["podSelector"]["matchLabels"].items() <= pods["metadata"]["labels"].items()
        (container,) = pods["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_only_the_credentials_service_touches_secrets(rendered: dict[str, Manifests]) -> None:
    roles = {key: one for key, one in rendered["hub"].items() if key[0] == "Role"}
    may = {key[1:] for key, one in roles.items() for rule in one["rules"] if "secrets" in rule["resources"]}
    assert may == {("casa-users", "credentials")}


def test_router_reads_one_room_and_knows_every_kind(rendered: dict[str, Manifests]) -> None:
    objects = rendered["traefik"]
    (role,) = [one for key, one in objects.items() if key[0] == "Role"]
    assert role["metadata"]["namespace"] == "casa-routes"
    assert not [key for key in objects if key[0] in ("ClusterRole", "ClusterRoleBinding")]
    assert set(KINDS) == set(role["rules"][2]["resources"])
    service = objects["Service", "casa-gateway", "traefik"]
    assert service["metadata"]["annotations"]["lbipam.cilium.io/ips"] == "10.90.0.200"
    ports = {port["targetPort"] for port in service["spec"]["ports"]}
    wall = objects["NetworkPolicy", "casa-gateway", "traefik"]["spec"]["ingress"][0]["ports"]
    assert ports == {one["port"] for one in wall}
    assert objects["TLSOption", "casa-routes", "default"]["spec"]["sniStrict"] is True
