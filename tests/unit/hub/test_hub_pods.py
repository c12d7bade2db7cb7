"""The pod that KubeSpawner really makes from our options, and that its labels and our selectors agree."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from casa_hub import manifests, names
from casa_hub.configuration import ConfigurationError, configure
from casa_hub.pods import kubespawner
from casa_hub.settings import HubSettings, Oidc
from kubernetes_asyncio.client import ApiClient
from kubespawner import KubeSpawner
from traitlets.config import Config

NAMES = {
    "alice": "alice",
    "a.b@c.d": "a-b-c-d---d1cb5470",
    "müller": "m-ller---2dbd2180",
    "x" * 80: None,
    "1digit": None,
    "a--b": None,
}


async def pod_of(settings: HubSettings, user: str, profile: str | None = None) -> Any:
    config = Config()
    for option, value in kubespawner(settings).items():
        setattr(config.KubeSpawner, option, value)
    hub = SimpleNamespace(public_host="", url="http://hub:8081", base_url="/hub/", api_url="http://hub:8081/hub/api")
    spawner = KubeSpawner(
        config=config, _mock=True, hub=hub,
        user=SimpleNamespace(name=user, id=1, url="/user/x/", escaped_name=user),
    )
    spawner.server = None
    spawner.api_token = "token"  # noqa: S105
    spawner.oauth_client_id = "client"
    if profile:
        spawner.user_options = {"profile": profile}
    await spawner.load_user_options()
    async with ApiClient() as api:
        return api.sanitize_for_serialization(await spawner.get_pod_manifest())


def test_slugs() -> None:
    for name, expected in NAMES.items():
        slug = names.slug(name)
        assert expected is None or slug == expected
        assert len(slug) <= names.SLUG_LENGTH
        assert len(names.dask_name(name)) <= 63


@pytest.mark.parametrize("user", NAMES)
async def test_label_selector_host_and_secret_agree(settings: HubSettings, user: str) -> None:
    pod = await pod_of(settings, user)
    labels = pod["metadata"]["labels"]
    assert manifests.service(user)["spec"]["selector"].items() <= labels.items()
    environment = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    rules = [rule["match"] for rule in manifests.route(user, "casa.test")["spec"]["routes"]]
    assert rules == [f"HostSNI(`{environment['HOST_IP']}`)", f"HostSNI(`{environment['WORKER_IP']}`)"]
    secrets = [volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume]
    assert secrets == [names.secret_name(user)]
    assert pod["metadata"]["annotations"][names.POD_USER_ANNOTATION] == user


async def test_pod_is_confined_and_the_users(settings: HubSettings) -> None:
    pod = await pod_of(settings, "alice")
    spec = pod["spec"]
    container = spec["containers"][0]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["fsGroup"] == 11265
    context = container["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (6440, 11265)
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"]
              if "persistentVolumeClaim" in volume]
    assert claims == ["claim-alice"]
    assert spec["dnsConfig"] == {"searches": ["casa.test"]}
    assert len(spec["containers"]) == 1


async def test_worker_profile_adds_a_confined_worker(settings: HubSettings) -> None:
    spec = (await pod_of(settings, "alice", "worker"))["spec"]
    worker = spec["containers"][1]
    environment = {one["name"]: one["value"] for one in worker["env"]}
    assert environment["WORKER_IP"] == "alice.dask-worker.casa.test"
    assert environment["CASA_SIDECAR_CORES"] == "1"
    assert environment["CASA_SIDECAR_MEMORY"] == "921Mi"
    assert environment["CASA_SCHEDD_NAME"] == "ap.casa.test"
    assert worker["securityContext"]["runAsUser"] == 6440
    assert worker["resources"]["limits"] == {"cpu": "1", "memory": str(1 << 30)}
    assert spec["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["alice.dask-worker.casa.test"]}]


async def test_unknown_profile_is_refused(settings: HubSettings) -> None:
    with pytest.raises(ValueError, match="nosuch"):
        await pod_of(settings, "alice", "nosuch")


def test_every_option_is_one_that_kubespawner_has(settings: HubSettings) -> None:
    assert set(kubespawner(settings)) <= set(KubeSpawner.class_traits())


def test_configuration_lets_in_listed_users_only(settings: HubSettings, environ: dict[str, str]) -> None:
    c = Config()
    configure(c, settings, environ)
    assert c.Authenticator.allowed_users == {"alice", "bob"}
    assert "allow_all" not in c.Authenticator
    assert c.DummyAuthenticator.password == environ["CASA_DUMMY_PASSWORD"]
    assert asyncio.iscoroutinefunction(c.KubeSpawner.pre_spawn_hook)


def test_configuration_for_an_identity_provider(settings: HubSettings, environ: dict[str, str]) -> None:
    oidc = Oidc(authorize_url="https://idp/a", token_url="https://idp/t", userinfo_url="https://idp/u",  # noqa: S106
                client_id="casa", username_claim="preferred_username")
    c = Config()
    chosen = settings.model_copy(update={"authenticator": "oidc", "oidc": oidc})
    configure(c, chosen, environ | {"CASA_OIDC_CLIENT_SECRET": "s"})
    assert c.JupyterHub.authenticator_class == "generic-oauth"
    assert c.GenericOAuthenticator.oauth_callback_url == "https://hub.casa.test/hub/oauth_callback"
    with pytest.raises(ConfigurationError, match="CASA_OIDC_CLIENT_SECRET"):
        configure(Config(), chosen, environ)


def test_missing_secret_is_named(settings: HubSettings, environ: dict[str, str]) -> None:
    del environ["JPY_COOKIE_SECRET"]
    with pytest.raises(ConfigurationError, match="JPY_COOKIE_SECRET"):
        configure(Config(), settings, environ)
