"""The pool as users and intruders see it. Commands of users run on an execute point, far from the access point."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from on_hosts import FOLDER, converge, eventually
from testinfra.utils.ansible_runner import AnsibleRunner

from casa_install.credentials import idtokens

DOMAIN = "casa.test"
SCHEDD = "<10.91.4.11:9618?sock=schedd>"
COLLECTOR = "<10.91.4.11:9618?sock=collector>"
MASTER = "<10.91.4.11:9618>"
HOME = "/srv/casa-test"
RUNNER = AnsibleRunner(os.environ["MOLECULE_INVENTORY_FILE"])
READ_WRITE = ("READ", "WRITE")
EVERYTHING = ("READ", "WRITE", "DAEMON", "ADMINISTRATOR", "ADVERTISE_STARTD", "ADVERTISE_SCHEDD", "NEGOTIATOR")


def variables() -> dict[str, Any]:
    """What the roles were given."""
    loaded: dict[str, Any] = json.loads((FOLDER / "variables.json").read_text())
    return loaded


def tokens() -> dict[str, str]:
    """Good and bad tokens by the name of who uses them."""
    given = variables()
    users, pool = (base64.b64decode(given[f"condor_{name}_key"]) for name in ("users", "pool"))

    def sign(key: bytes, kid: str, subject: str, scopes: tuple[str, ...], seconds: int = 3600,
             issuer: str = DOMAIN) -> str:
        return idtokens.mint(key, kid, issuer, f"{subject}@{DOMAIN}", scopes, seconds)

    return {
        "alice": sign(users, "USERS", "alice", READ_WRITE),
        "bob": sign(users, "USERS", "bob", READ_WRITE),
        "readonly": sign(users, "USERS", "alice", ("READ",)),
        "expired": sign(users, "USERS", "alice", READ_WRITE, -60),
        "forged": sign(idtokens.make_key_file(), "USERS", "alice", READ_WRITE),
        "foreign": sign(users, "USERS", "alice", READ_WRITE, issuer="other.test"),
        "daemon": sign(users, "USERS", "condor", EVERYTHING),
        "root": sign(users, "USERS", "root", EVERYTHING),
        "pool-alice": sign(pool, "POOL", "alice", EVERYTHING),
        "stolen": given["condor_tokens"]["exec-1"],
        "nobody": "",
    }


@pytest.fixture(scope="module")
def access() -> Any:
    """The access point, which is the manager too."""
    return RUNNER.get_host("condor-1")


@pytest.fixture(scope="module")
def place() -> Any:
    """A host with HTCondor's tools from which users and intruders come."""
    host = RUNNER.get_host("exec-2")
    host.check_output(f"rm -rf {HOME} && install -d -o nobody -m 755 {HOME}")
    for name, token in tokens().items():
        host.check_output(f"install -d -o nobody -m 700 {HOME}/{name}")
        if token:
            host.check_output("install -o nobody -m 600 /dev/null %s && echo %s > %s",
                              *[f"{HOME}/{name}/token", token, f"{HOME}/{name}/token"])
    version = host.check_output("condor_version").splitlines()
    lines = "\\n".join([SCHEDD, *version]).replace("$", "\\$")
    host.check_output(f'printf "{lines}\\n" > {HOME}/schedd')
    yield host
    host.check_output(f"rm -rf {HOME}")


As = Callable[[str, str], Any]


@pytest.fixture(scope="module")
def run(place: Any) -> As:
    """Run a command with the tokens of somebody."""

    def as_somebody(who: str, command: str) -> Any:
        return place.run(
            f"cd {HOME} && runuser -u nobody -- env HOME={HOME}/{who} _CONDOR_SEC_TOKEN_DIRECTORY={HOME}/{who} "
            f"_CONDOR_SCHEDD_ADDRESS_FILE={HOME}/schedd _CONDOR_SCHEDD_DAEMON_AD_FILE= {command}"
        )

    return as_somebody


def submit(run: As, place: Any, who: str, text: str, name: str = "job") -> int:
    """Submit a job from afar; returns its cluster."""
    place.check_output("printf '%%s' %s > %s", text, f"{HOME}/{name}.sub")
    done = run(who, f"condor_submit -spool -terse {HOME}/{name}.sub")
    assert done.rc == 0, done.stderr
    return int(done.stdout.split(".")[0])


def ad(access: Any, cluster: int) -> dict[str, Any]:
    """A job's description on the access point."""
    found: list[dict[str, Any]] = json.loads(access.check_output(f"condor_q -json {cluster}") or "[]")
    return found[0] if found else {}


def wait_for(access: Any, cluster: int, status: int, seconds: float = 60) -> dict[str, Any]:
    """Wait until a job has a status (2 runs, 4 is complete, 5 is held)."""
    deadline = time.monotonic() + seconds
    while True:
        job = ad(access, cluster)
        if job.get("JobStatus") == status:
            return job
        assert time.monotonic() < deadline, f"job {cluster}: {job.get('JobStatus')} {job.get('HoldReason')}"
        time.sleep(0.5)


VANILLA = """executable = /bin/sleep
transfer_executable = False
arguments = 300
request_memory = 100
should_transfer_files = YES
"""


def let_in(run: As, who: str, address: str, kind: str) -> set[str]:
    """Levels at which a daemon lets somebody in."""
    loop = 'for level in "$@"; do condor_ping -addr "$0" -type KIND -quiet "$level" && echo "$level"; done; true'
    done = run(who, f"sh -c '{loop.replace('KIND', kind)}' '{address}' {' '.join(EVERYTHING)}")
    assert done.rc == 0, done.stderr
    return set(done.stdout.split())


def test_everything_is_authenticated_and_encrypted(run: As) -> None:
    """A user's connection uses a token and AES."""
    said = run("alice", f"condor_ping -addr '{SCHEDD}' -type schedd -verbose WRITE").stdout
    words = {line.split(":")[0]: line.split()[-1] for line in said.splitlines() if ":" in line}
    assert words["Encryption"] == words["Integrity"] == "AES"
    assert words["Authenticated using"] == "IDTOKENS"
    assert words["Remote Mapping"] == f"alice@{DOMAIN}"


@pytest.mark.parametrize(("who", "levels"), [("alice", {"READ", "WRITE"}), ("readonly", {"READ"})])
def test_users_are_let_in_as_users(run: As, who: str, levels: set[str]) -> None:
    """A user reads and writes at the schedd, as far as the token says, and never does what daemons do."""
    assert let_in(run, who, SCHEDD, "schedd") == levels


@pytest.mark.parametrize("who", ["nobody", "expired", "forged", "foreign", "daemon", "root", "stolen", "pool-alice"])
def test_bad_tokens_are_refused_by_the_schedd(run: As, who: str) -> None:
    """No token, or one that is old, forged, of another site, signed for somebody who is no user, or by another key."""
    assert let_in(run, who, SCHEDD, "schedd") == set()


@pytest.mark.parametrize("who", ["nobody", "alice", "daemon", "root", "forged", "pool-alice"])
@pytest.mark.parametrize(("address", "kind"), [(COLLECTOR, "collector"), (MASTER, "master")])
def test_manager_knows_no_users(run: As, who: str, address: str, kind: str) -> None:
    """The users' key means nothing to the collector, though it lies on the same host."""
    assert let_in(run, who, address, kind) == set()


def test_pool_is_not_read_without_a_token(run: As) -> None:
    """condor_status from a third place is refused."""
    refused = run("nobody", "condor_status")
    assert refused.rc != 0
    assert "exec-1" not in refused.stdout


def test_execute_points_token_reports_and_no_more(run: As) -> None:
    """What lies on an execute point opens neither writing nor the administrator's level at the manager."""
    assert let_in(run, "stolen", COLLECTOR, "collector") == {"READ", "ADVERTISE_STARTD"}


def test_secrets_lie_where_they_belong(access: Any, place: Any) -> None:
    """Signing keys are on the manager and access point only; nobody but root reads them."""
    for folder in ("passwords.d", "users.d", "tokens.d"):
        assert access.file(f"/etc/condor/{folder}").mode == 0o700
    assert access.check_output("ls /etc/condor/passwords.d /etc/condor/users.d").split() == [
        "/etc/condor/passwords.d:", "POOL", "/etc/condor/users.d:", "USERS"]
    assert access.file("/etc/condor/passwords.d/POOL").mode == access.file("/etc/condor/users.d/USERS").mode == 0o600
    assert place.check_output("cat /etc/condor/passwords.d/* /etc/condor/users.d/* 2>/dev/null || true") == ""
    assert place.file("/etc/condor/tokens.d/pool").mode == 0o600


def test_admins_see_the_pool(access: Any) -> None:
    """Root on the access point needs nothing more than to be root there."""
    assert set(access.check_output("condor_status -autoformat Machine").split()) == {
        f"exec-1.{DOMAIN}", f"exec-2.{DOMAIN}"}
    assert access.run("condor_q -allusers").rc == 0
    assert access.check_output("condor_status -autoformat HasSIF").split() == ["true", "true"]


def test_users_do_not_touch_each_others_jobs(run: As, place: Any, access: Any) -> None:
    """Bob neither removes, holds nor edits what is Alice's; Alice does."""
    cluster = submit(run, place, "alice", f"{VANILLA}queue\n")
    wait_for(access, cluster, 2)
    for command in (f"condor_rm {cluster}", f"condor_hold {cluster}", f"condor_qedit {cluster} JobPrio 5",
                    f"condor_vacate_job {cluster}", f"condor_ssh_to_job {cluster} id"):
        assert run("bob", command).rc != 0, command
    assert ad(access, cluster)["JobStatus"] == 2
    run("bob", f"condor_qusers -disable alice@{DOMAIN}")
    assert access.check_output("condor_qusers -autoformat User Enabled").split()[:2] == [f"alice@{DOMAIN}", "1"]
    assert run("alice", f"condor_rm {cluster}").rc == 0


@pytest.mark.parametrize("line", ["accounting_group = bob\naccounting_group_user = bob", '+AccountingGroup = "bob"'])
def test_jobs_are_charged_to_their_owner(run: As, place: Any, access: Any, line: str) -> None:
    """Whoever a job names, its owner is charged, and cannot change that later."""
    cluster = submit(run, place, "alice", f"{VANILLA}{line}\nqueue\n")
    job = ad(access, cluster)
    assert (job["Owner"], job["AccountingGroup"], job["AcctGroupUser"]) == ("alice", "alice", "alice")
    assert run("alice", f"""condor_qedit {cluster} AccountingGroup '"bob"'""").rc != 0
    run("alice", f"condor_rm {cluster}")


@pytest.mark.parametrize("line", ['+Owner = "bob"', "universe = local", "universe = scheduler"])
def test_jobs_are_refused(run: As, place: Any, line: str) -> None:
    """A job of another owner, and one that would run on the access point."""
    place.check_output("printf '%%s' %s > %s", f"{VANILLA}{line}\nqueue\n", f"{HOME}/refused.sub")
    assert run("alice", f"condor_submit -spool {HOME}/refused.sub").rc != 0


def test_memory_is_limited(run: As, place: Any, access: Any) -> None:
    """A job that takes four times what it asked for is stopped and held."""
    cluster = submit(run, place, "alice", """executable = /usr/bin/python3
transfer_executable = False
arguments = "-c 'x = bytearray(800 * 2**20)'"
request_memory = 200
should_transfer_files = YES
queue
""")
    wait_for(access, cluster, 5)
    # a job that is still being spooled is held too, with code 16
    assert eventually(lambda: ad(access, cluster).get("HoldReasonCode") == 34), ad(access, cluster)
    run("alice", f"condor_rm {cluster}")


def test_containers_run_in_the_workers_image(run: As, place: Any, access: Any) -> None:
    """A job sees the image's files, the site's CA and its slot's account, and changes nothing in the image."""
    cluster = submit(run, place, "alice", f"""universe = container
container_image = /var/lib/casa/worker/
transfer_container = False
executable = /bin/sh
transfer_executable = False
arguments = "-c 'id -u; ls /bin/busybox /etc/casa/ca.crt; test -w /bin || echo safe'"
output = {HOME}/container.out
should_transfer_files = YES
when_to_transfer_output = ON_EXIT
request_memory = 100
queue
""")
    wait_for(access, cluster, 4)
    place.check_output(f"install -o nobody -m 644 /dev/null {HOME}/container.out")
    assert run("alice", f"condor_transfer_data {cluster}").rc == 0
    said = place.check_output(f"cat {HOME}/container.out").split()
    assert 260001 <= int(said[0]) <= 260002
    assert said[1:] == ["/bin/busybox", "/etc/casa/ca.crt", "safe"]
    run("alice", f"condor_rm {cluster}")


def test_dask_workers_leave_nothing(run: As, place: Any, access: Any) -> None:
    """A worker's job has no list of output, whose preparation costs a second, and leaves the queue when it ends."""
    short = VANILLA.replace("300", "3")
    cluster = submit(run, place, "alice", f'{short}+CoffeaCasaWorkerType = "dask"\nqueue\n')
    assert ad(access, cluster)["TransferOutput"] == ""
    assert eventually(lambda: ad(access, cluster) == {}), "the job stays in the queue"


def converge_users(*names: str) -> None:
    """Run the role on the access point as if these were the site's users."""
    given = {name: number for name, number in variables()["condor_users"].items() if name in names}
    converge("condor-1", "condor", condor_users=given)


def test_users_come_and_go(run: As, place: Any, access: Any) -> None:
    """Who is no longer a user loses the jobs and submits no more; who comes back does both again."""
    cluster = submit(run, place, "bob", f"{VANILLA}queue\n")
    wait_for(access, cluster, 2)
    converge_users("alice")
    assert ad(access, cluster) == {}
    assert access.run("getent passwd bob").rc != 0
    assert let_in(run, "bob", SCHEDD, "schedd") == set()
    assert run("bob", f"condor_submit -spool {HOME}/job.sub").rc != 0
    assert run("alice", f"condor_submit -spool {HOME}/job.sub").rc == 0
    converge_users("alice", "bob")
    again = submit(run, place, "bob", f"{VANILLA}queue\n")
    wait_for(access, again, 2)
    run("bob", f"condor_rm {again}")


def test_pool_comes_back_after_the_manager(access: Any) -> None:
    """Execute points report to a manager that was restarted within seconds."""
    access.check_output("systemctl restart condor")
    points = {f"exec-1.{DOMAIN}", f"exec-2.{DOMAIN}"}
    assert eventually(lambda: set(access.run("condor_status -autoformat Machine").stdout.split()) == points)
