"""The hub image's code is tested with the packages of the image (images/hub/requirements.in)."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("kubespawner") is None:
    collect_ignore_glob = ["test_*.py"]
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "images" / "hub"))

from casa_hub.settings import HubSettings, Profile, Resources

GIB = 1 << 30
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: none, user: {}}]
"""


@pytest.fixture(autouse=True, scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """KubeSpawner wants a cluster to be configured, though these tests never call one."""
    path = tmp_path_factory.mktemp("kube") / "config"
    path.write_text(KUBECONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
        yield


@pytest.fixture
def settings() -> HubSettings:
    """A site with a plain profile and one with a worker."""
    small = Resources(cores=1, memory=2 * GIB, cores_guarantee=0.05, memory_guarantee=GIB // 8)
    worker = Resources(cores=1, memory=GIB, cores_guarantee=0.05, memory_guarantee=GIB // 8)
    return HubSettings(
        domain="casa.test", hub_namespace="casa-hub", users_namespace="casa-users", routes_namespace="casa-routes",
        users=("alice", "bob"), admins=("alice",), authenticator="dummy", user_image="registry.casa.test:5000/n:1",
        worker_image="registry.casa.test:5000/w:1", node_selector={"casa/users": "true"},
        storage_class="casa-local", home_size="1Gi", credentials_url="https://credentials.casa-hub.svc:8443",
        environment={"CASA_SCHEDD_NAME": "ap.casa.test"},
        profiles=(
            Profile(slug="small", title="1 core", notebook=small),
            Profile(slug="worker", title="2 cores", notebook=small, worker=worker, worker_threads=1),
        ),
    )


@pytest.fixture
def environ() -> dict[str, str]:
    """The hub's secrets."""
    return {
        "CONFIGPROXY_AUTH_TOKEN": "1" * 64, "JUPYTERHUB_CRYPT_KEY": "ab" * 32, "JPY_COOKIE_SECRET": "cd" * 32,
        "CASA_CREDENTIALS_TOKEN": "2" * 64, "CASA_DUMMY_PASSWORD": "dummy-password",
    }
