"""Users' objects and credentials against a real API server."""

import asyncio
import base64
import contextlib
import logging
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError
from casa_hub.client import Held
from casa_hub.credentials.store import SecretStore
from casa_hub.objects import UserObjects
from casa_hub.sweep import sweep
from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    ApiextensionsV1Api,
    Configuration,
    CoreV1Api,
    CustomObjectsApi,
)

from casa_install.supply import Supply, cache_directory

TOKEN = "0123456789abcdef"  # noqa: S105
LOG = logging.getLogger("test")
PROBE: dict[str, Any] = {"metadata": {"name": "probe"}, "spec": {"ports": [{"port": 80}]}}
ROUTES: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "ingressroutetcps.traefik.io"},
    "spec": {
        "group": "traefik.io", "scope": "Namespaced",
        "names": {"kind": "IngressRouteTCP", "plural": "ingressroutetcps", "singular": "ingressroutetcp"},
        "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}],
    },
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], folder: Path, name: str) -> Iterator[None]:
    with (folder / f"{name}.log").open("w") as log, subprocess.Popen(
        command, cwd=folder, stdout=log, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an API server with nothing in it."""
    supply = Supply("registry.invalid:5000", cache_directory())
    supply.ensure(["kubernetes", "etcd"], print)
    kube, etcd = supply.path("kubernetes") / "kube", supply.path("etcd") / "etcd"
    folder = tmp_path_factory.mktemp("api")
    (folder / "kube-apiserver").symlink_to(kube)
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,1,system:masters\n")
    subprocess.run(["openssl", "genrsa", "-out", str(folder / "sa.key"), "2048"], check=True, capture_output=True)
    clients, peers, port = (free_port() for _ in range(3))
    url = f"https://127.0.0.1:{port}"
    store = [
        str(etcd), "--data-dir=data", f"--listen-client-urls=http://127.0.0.1:{clients}", "--unsafe-no-fsync",
        f"--advertise-client-urls=http://127.0.0.1:{clients}", f"--listen-peer-urls=http://127.0.0.1:{peers}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
        f"--initial-cluster=default=http://127.0.0.1:{peers}",
    ]
    api = [
        str(folder / "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{clients}", f"--secure-port={port}",
        "--bind-address=127.0.0.1", "--cert-dir=certs", "--service-account-key-file=sa.key",
        "--service-account-signing-key-file=sa.key", "--service-account-issuer=https://test",
        "--token-auth-file=tokens.csv", "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
    ]
    with running(store, folder, "etcd"), running(api, folder, "api"):
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.2)
        yield url


async def patiently(call: Callable[[], Awaitable[Any]]) -> None:
    """Repeat a call until the server, which has just started, carries it out or has done so before."""
    for _ in range(200):
        try:
            await call()
            return
        except ApiException as error:
            if error.status == 409:
                return
        except ClientError:
            pass
        await asyncio.sleep(0.3)
    pytest.fail("the API server does not become ready")


@pytest.fixture
async def api(server: str) -> AsyncIterator[ApiClient]:
    """A client, and a cluster with the users' rooms and the kind of routes."""
    configuration = Configuration(host=server)
    configuration.verify_ssl = False
    configuration.api_key = {"BearerToken": f"Bearer {TOKEN}"}
    async with ApiClient(configuration) as client:
        core, kinds = CoreV1Api(client), ApiextensionsV1Api(client)
        await patiently(lambda: core.create_namespace({"metadata": {"name": "casa-users"}}))
        await patiently(lambda: core.create_namespace({"metadata": {"name": "casa-routes"}}))
        # the first Services are refused until the server has made its own range of addresses known to itself
        await patiently(lambda: core.create_namespaced_service("default", PROBE))
        await patiently(lambda: kinds.create_custom_resource_definition(ROUTES))
        routes = CustomObjectsApi(client)
        await patiently(
            lambda: routes.list_namespaced_custom_object("traefik.io", "v1alpha1", "casa-routes", "ingressroutetcps")
        )
        yield client


@pytest.fixture
def objects(api: ApiClient) -> UserObjects:
    return UserObjects(CoreV1Api(api), CustomObjectsApi(api), "casa.test", "casa-users", "casa-routes")


@pytest.fixture
def store(api: ApiClient) -> SecretStore:
    return SecretStore(CoreV1Api(api), "casa-users")


async def content(api: ApiClient, key: str) -> bytes:
    secret = await CoreV1Api(api).read_namespaced_secret("jupyter-alice", "casa-users")
    return base64.b64decode(secret.data[key])


async def test_objects_are_made_again_and_removed(objects: UserObjects) -> None:
    await objects.ensure("alice")
    first = {one.uid for one in await objects.found()}
    await objects.ensure("alice")
    second = {one.uid for one in await objects.found()}
    assert len(second) == 3
    assert not first & second
    await objects.remove("alice")
    await objects.remove("alice")
    assert await objects.found() == []


async def test_stale_deletion_spares_the_new_object(objects: UserObjects) -> None:
    await objects.ensure("alice")
    old = await objects.found()
    await objects.ensure("alice")
    for one in old:
        await objects.delete(one)
    assert len(await objects.found()) == 3
    await objects.remove("alice")


async def test_renewal_changes_the_tokens_alone(api: ApiClient, store: SecretStore) -> None:
    await store.put("alice", {"ca.pem": b"ca", "condor_token": b"old"}, 100)
    (stored,) = await store.all()
    await store.renew(stored, {"condor_token": b"new"}, 200)
    assert (await content(api, "ca.pem"), await content(api, "condor_token")) == (b"ca", b"new")
    (renewed,) = await store.all()
    assert (renewed.expires, renewed.uid) == (200, stored.uid)
    # what was listed before a write changes nothing any more
    await store.renew(stored, {"condor_token": b"stale"}, 300)
    assert await content(api, "condor_token") == b"new"
    await store.put("alice", {"ca.pem": b"another", "condor_token": b"fresh"}, 400)
    await store.delete("alice", stored.uid)
    assert await content(api, "condor_token") == b"fresh"
    await store.delete("alice", None)
    await store.delete("alice", None)
    assert await store.all() == []


async def test_sweep_of_a_cluster(objects: UserObjects, store: SecretStore) -> None:
    class Credentials:
        async def held(self) -> list[Held]:
            return [Held(one.user, one.uid) for one in await store.all()]

        async def revoke(self, user: str, uid: str | None = None) -> None:
            await store.delete(user, uid)

    for user in ("alice", "bob"):
        await objects.ensure(user)
        await store.put(user, {"ca.pem": b"x"}, 100)
    assert await sweep(objects, Credentials(), lambda: {"alice"}, LOG) == 4
    assert {one.user for one in await objects.found()} == {"alice"}
    assert [one.user for one in await store.all()] == ["alice"]
    await objects.remove("alice")
    await store.delete("alice", None)
