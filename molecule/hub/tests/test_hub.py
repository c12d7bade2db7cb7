"""The hub with its users' pods, by the way users come: through the public address."""

import asyncio
import json
from typing import Any

import pytest

from casa_install.verify.context import Context
from casa_install.verify.jupyter import SessionError

READY_SECONDS = 300
PORTS = """
import socket
def port(host, number):
    try:
        socket.create_connection((host, number), 3).close()
        return 'open'
    except Exception:
        return 'shut'
"""


async def test_login_by_form(session: Any) -> None:
    async with session("alice") as alice:
        await alice.login()
        assert alice.user == "alice"
        status, text = await alice.request("GET", "/hub/api/")
        assert (status, json.loads(text)["version"]) == (200, "6.1.1")


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("mallory", None)])
async def test_strangers_are_refused(session: Any, user: str, password: str | None) -> None:
    async with session(user, password) as stranger:
        with pytest.raises(SessionError, match="cannot log in"):
            await stranger.login()


@pytest.mark.parametrize(("account", "verb", "what", "where", "allowed"), [
    ("hub", "create", "pods", "casa-users", "yes"),
    ("hub", "get", "secrets", "casa-users", "no"),
    ("hub", "create", "secrets", "casa-users", "no"),
    ("hub", "get", "secrets", "casa-hub", "no"),
    ("hub", "create", "pods", "casa-hub", "no"),
    ("hub", "get", "secrets", "casa-routes", "no"),
    ("credentials", "patch", "secrets", "casa-users", "yes"),
    ("credentials", "get", "secrets", "casa-hub", "no"),
    ("credentials", "create", "pods", "casa-users", "no"),
])
async def test_rights(context: Context, account: str, verb: str, what: str, where: str, allowed: str) -> None:
    user = f"--as=system:serviceaccount:casa-hub:{account}"
    answers = await asyncio.gather(context.kubectl("auth", "can-i", verb, what, f"--namespace={where}", user),
                                   return_exceptions=True)
    assert ("yes" if str(answers[0]).startswith("yes") else "no") == allowed


async def names(context: Context, kind: str, namespace: str) -> set[str]:
    return {one["metadata"]["name"] for one in await context.objects(kind, f"--namespace={namespace}")}


async def test_a_server_from_start_to_end(context: Context, session: Any) -> None:
    domain = context.site.settings.domain
    async with session("alice") as alice:
        await alice.login()
        await alice.stop()
        await alice.spawn_by_form("small")
        await alice.wait_ready(READY_SECONDS)
        assert "dask-alice" in await names(context, "ingressroutetcps.traefik.io", "casa-routes")
        assert "jupyter-alice" in await names(context, "secrets", "casa-users")
        await alice.start_kernel()
        shown = await alice.run("import os; print(os.getuid(), os.getgid(), os.environ['HOST_IP'], os.getcwd())")
        assert shown.text.split() == ["6440", "11265", f"alice.dask.{domain}", "/home/cms-jovyan"]
        files = await alice.run("print(*sorted(os.listdir('/etc/cmsaf-secrets')))")
        assert {"ca.pem", "hostcert.pem", "usercert.pem", "condor_token", "xcache_token"} <= set(files.text.split())
        token = await alice.run("import base64, json\n"
                                "part = open('/etc/cmsaf-secrets/condor_token').read().split('.')[1]\n"
                                "print(json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))['sub'])")
        assert not token.error
        assert token.text.strip() == f"alice@{domain}"
        await alice.upload("mark.txt", "here")
        await alice.stop()
    assert "dask-alice" not in await names(context, "ingressroutetcps.traefik.io", "casa-routes")
    assert "dask-alice" not in await names(context, "services", "casa-routes")
    assert "dask-alice" not in await names(context, "services", "casa-users")
    assert "jupyter-alice" not in await names(context, "secrets", "casa-users")
    assert "claim-alice" in await names(context, "persistentvolumeclaims", "casa-users")


async def test_walls_around_a_users_pod(context: Context, session: Any) -> None:
    control = str(context.site.one("kube_control").address)
    node = str(context.site.group("kube_workers")[0].address)
    async with session("bob") as bob:
        await bob.login()
        await bob.stop()
        await bob.spawn()
        await bob.wait_ready(READY_SECONDS)
        await bob.start_kernel()
        await bob.run(PORTS)
        wanted = {
            ("hub.casa-hub", 8081): "open",
            ("proxy-api.casa-hub", 8001): "shut",
            ("proxy-public.casa-hub", 8000): "shut",
            ("credentials.casa-hub", 8443): "shut",
            ("kubernetes.default", 443): "shut",
            (control, 6443): "shut",
            (node, 10250): "shut",
            (node, 22): "shut",
            (f"bob.dask.{context.site.settings.domain}", 8786): "open",
            (str(context.site.one("condor_access").address), 9618): "open",
            ("xcache", 1094): "open",
            (context.site.registry.split(":")[0], 5000): "shut",
        }
        probes = f"import json; print(json.dumps([port(h, p) for h, p in {list(wanted)!r}]))"
        ran = await bob.run(probes, 120)
        assert not ran.error
        answers = json.loads(ran.text)
        assert dict(zip(wanted, answers, strict=True)) == wanted
        await bob.stop()


async def until_the_hub_answers(session: Any) -> None:
    """A hub that is ready is reached a few seconds later."""
    for _ in range(60):
        if (await session.request("GET", "/hub/api/"))[0] == 200:
            return
        await asyncio.sleep(1)
    pytest.fail("a minute after its restart the hub does not answer at its public name")


async def test_a_restart_of_the_hub_keeps_servers(context: Context, session: Any) -> None:
    async with session("alice") as alice:
        await alice.login()
        await alice.stop()
        await alice.spawn("small")
        await alice.wait_ready(READY_SECONDS)
        await alice.start_kernel()
        await alice.run("kept = 42")
        await context.kubectl("--namespace=casa-hub", "rollout", "restart", "deployment/hub")
        await context.kubectl("--namespace=casa-hub", "rollout", "status", "deployment/hub", "--timeout=180s",
                              "--request-timeout=200s")
        assert (await alice.run("print(kept)")).text.strip() == "42"
        await until_the_hub_answers(alice)
        assert "jupyter-alice" in await names(context, "secrets", "casa-users")
        await alice.stop()


async def test_a_killed_pod_leaves_nothing_behind(context: Context, session: Any) -> None:
    async with session("bob") as bob:
        await bob.login()
        await bob.stop()
        await bob.spawn("small")
        await bob.wait_ready(READY_SECONDS)
    await context.kubectl("--namespace=casa-users", "delete", "pod", "jupyter-bob", "--now")
    for _ in range(24):
        left = await names(context, "secrets", "casa-users") | await names(context, "services", "casa-routes")
        if not left & {"jupyter-bob", "dask-bob"}:
            return
        await asyncio.sleep(5)
    pytest.fail("two minutes after its pod was killed, bob's credentials or route are still there")


async def test_what_nobody_owns_is_swept(context: Context) -> None:
    manifest = context.folder / "ghost.json"
    manifest.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "dask-ghost", "namespace": "casa-users", "annotations": {"casa/user": "ghost"},
                     "labels": {"app.kubernetes.io/managed-by": "casa-hub", "jhub_user": "ghost"}},
        "spec": {"selector": {"jhub_user": "ghost"}, "ports": [{"port": 8786}]},
    }))
    await context.kubectl("apply", "-f", str(manifest))
    for _ in range(30):
        if "dask-ghost" not in await names(context, "services", "casa-users"):
            return
        await asyncio.sleep(5)
    pytest.fail("the Service of a user without a server is still there after 150 s")
