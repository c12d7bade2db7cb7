"""Jobs run in apptainer or in docker: roles, their variables, and what is checked afterwards follow the setting."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from casa_install.facility import Facility
from casa_install.phases import PHASES, ROOT
from casa_install.site.model import Site
from casa_install.verify import day, pool
from casa_install.verify.context import CheckError, Context

OTHER = {"apptainer": "docker", "docker": "apptainer"}
TAG = "0123"


@pytest.fixture(params=sorted(OTHER))
def facility(request: pytest.FixtureRequest, rehearsal: Site, tmp_path: Path,
             monkeypatch: pytest.MonkeyPatch) -> Facility:
    """The rehearsal with either kind of containers."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    settings = rehearsal.settings.model_copy(update={"job_containers": request.param})
    return Facility(rehearsal.model_copy(update={"settings": settings, "inventory": tmp_path / "site.ini"}))


def test_playbooks_apply_the_role_of_the_setting(facility: Facility) -> None:
    kind = facility.site.settings.job_containers
    roles = {phase.name: facility.roles_of(phase) for phase in PHASES if phase.playbook}
    assert roles["condor"] == roles["worker"] == {kind, "condor"}
    assert all((ROOT / "roles" / name).is_dir() for names in roles.values() for name in names)


def test_phases_run_again_when_the_setting_changes(facility: Facility) -> None:
    changed = facility.site.settings.model_copy(update={"job_containers": OTHER[facility.site.settings.job_containers]})
    other = Facility(facility.site.model_copy(update={"settings": changed}))
    for phase in PHASES:
        if phase.name in ("condor", "worker"):
            assert facility.fingerprint(phase) != other.fingerprint(phase)
        elif phase.name == "registry":
            assert facility.fingerprint(phase) == other.fingerprint(phase)


def test_variables_name_one_image(facility: Facility) -> None:
    kind = facility.site.settings.job_containers
    condor = facility.role_variables("condor")
    image = facility.role_variables(kind)[f"{kind}_image"]
    assert condor["condor_containers"] == kind
    assert image == f"registry.casa.test:5000/casa/worker:{condor['condor_worker_image']}"


def context_of(kind: str, rehearsal: Site, rows: list[dict[str, str]]) -> Context:
    """A site with that kind of containers whose pool answers every question with these rows."""
    settings = rehearsal.settings.model_copy(update={"job_containers": kind})

    async def on(_: str, *argv: str) -> str:
        asked = argv[argv.index("-af") + 1:]
        return "\n".join(" ".join(row.get(name, "undefined") for name in asked) for row in rows)

    supply = SimpleNamespace(image=lambda name: f"registry.casa.test:5000/casa/{name}:{TAG}")
    return cast(Context, SimpleNamespace(site=rehearsal.model_copy(update={"settings": settings}), on=on,
                                         facility=SimpleNamespace(supply=supply), memory={}))


@pytest.mark.parametrize(("kind", "attribute"), [("apptainer", "HasSIF"), ("docker", "HasDocker")])
def test_execute_points_must_run_containers_of_their_kind(kind: str, attribute: str, rehearsal: Site) -> None:
    rows = [{"Machine": rehearsal.fqdn(host), "CasaWorkerImage": TAG, attribute: "true"}
            for host in rehearsal.group("condor_execute")]
    assert "2 execute points" in asyncio.run(pool.members(context_of(kind, rehearsal, rows)))
    del rows[0][attribute]
    with pytest.raises(CheckError, match=f"{attribute} is undefined"):
        asyncio.run(pool.members(context_of(kind, rehearsal, rows)))


class Session:
    """A user whose server and cluster do what they should."""

    server_path = "/user/x/"

    def __init__(self, user: str) -> None:
        self.user = user

    async def request(self, method: str, *_: str, **__: object) -> tuple[int, str]:
        return 200, '[{"id": 1}]'

    async def run(self, *_: object) -> SimpleNamespace:
        return SimpleNamespace(error="", text="")


@pytest.mark.parametrize(("kind", "attribute", "image"), [
    ("apptainer", "ContainerImage", "/var/lib/casa/worker/"),
    ("docker", "DockerImage", f"registry.casa.test:5000/casa/worker:{TAG}"),
])
def test_workers_must_run_in_the_sites_image(kind: str, attribute: str, image: str, rehearsal: Site) -> None:
    domain = rehearsal.settings.domain
    rows = [{"User": f"{user}@{domain}", "AcctGroupUser": user, attribute: image,
             "DaskSchedulerAddress": f"tls://{user}.dask.{domain}:8786"} for user in ("alice", "bob") * day.WORKERS]
    context = context_of(kind, rehearsal, rows)
    context.memory["sessions"] = [Session("alice"), Session("bob")]
    assert asyncio.run(day.workers(context)).startswith("4 container jobs")
    rows[0][attribute] = "elsewhere/worker:1"
    with pytest.raises(CheckError, match=f"a job of alice runs in elsewhere/worker:1, expected {image}"):
        asyncio.run(day.workers(context))
