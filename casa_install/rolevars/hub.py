"""Variables of the role ``hub``: the configuration of hub and credentials service, and what users' pods may reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from casa_install.credentials import Credentials, VaultError
from casa_install.site.model import Host, Profile, Settings, Site
from casa_install.supply import Supply

HUB, USERS, ROUTES = "casa-hub", "casa-users", "casa-routes"
CREDENTIALS_HOST = f"credentials.{HUB}.svc.cluster.local"
CREDENTIALS_PORT = 8443
CONDOR_PORT, XROOTD_PORT = 9618, 1094
WORKER_DIRECTORY = "/var/lib/casa/worker/"
"""Where the role ``apptainer`` puts the worker image; the slash tells HTCondor that it is a directory."""
FIRST_FREE_PORT, LAST_PORT = 1024, 65535
NODE_PORTS = (2379, 2381), (4240, 4250), (6443, 6443), (9878, 9893), (10248, 10260)
"""Where a Kubernetes node's own daemons listen: closed to users' pods even if jobs run on the node."""

UNITS = {"Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
REHEARSAL_CORES, REHEARSAL_MEMORY = 0.05, 128 * UNITS["Mi"]


def quantity_bytes(quantity: str) -> int:
    """Bytes of a Kubernetes quantity with a binary unit, such as ``2Gi``."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def resources(cores: float, memory: int, *, rehearsal: bool) -> dict[str, Any]:
    """What a container gets at most, and what the cluster keeps free for it.

    On iron both are the same: what the spawn page says is there. Virtual hosts share a machine that has less.
    """
    return {
        "cores": cores,
        "memory": memory,
        "cores_guarantee": min(cores, REHEARSAL_CORES) if rehearsal else cores,
        "memory_guarantee": min(memory, REHEARSAL_MEMORY) if rehearsal else memory,
    }


def profile(entry: Profile, *, rehearsal: bool) -> dict[str, Any]:
    """One choice of the spawn page; a worker beside the scheduler takes its share from the profile's cores and memory.

    :raises ValueError: when it leaves nothing for the notebook.
    """
    cores, memory = entry.cores, quantity_bytes(entry.memory)
    described: dict[str, Any] = {"slug": entry.slug, "title": entry.title, "description": entry.description}
    if entry.worker:
        worker_memory = quantity_bytes(entry.worker_memory)
        cores, memory = cores - entry.worker_cores, memory - worker_memory
        if cores <= 0 or memory <= 0:
            raise ValueError(
                f"casa_profiles: the worker of profile {entry.slug!r} ({entry.worker_cores} cores, "
                f"{entry.worker_memory}) leaves nothing of {entry.cores:g} cores and {entry.memory} for the notebook; "
                "raise cores and memory, or lower worker_cores and worker_memory"
            )
        described["worker"] = resources(entry.worker_cores, worker_memory, rehearsal=rehearsal)
        described["worker_threads"] = entry.worker_cores
    described["notebook"] = resources(cores, memory, rehearsal=rehearsal)
    return described


def worker_ports(host: Host, nodes: Iterable[Host]) -> list[dict[str, int]]:
    """Ports of an execute point on which Dask workers may listen."""
    closed = NODE_PORTS if host in nodes else ()
    ranges, first = [], FIRST_FREE_PORT
    for low, high in closed:
        ranges.append({"port": first, "endPort": low - 1})
        first = high + 1
    return [*ranges, {"port": first, "endPort": LAST_PORT}]


def user_egress(site: Site) -> list[dict[str, Any]]:
    """What users' pods reach outside of the cluster: access point, cache, and workers on execute points."""

    def one(port: int) -> list[dict[str, int]]:
        return [{"port": port, "endPort": port}]

    places = [
        *((host, one(CONDOR_PORT)) for host in site.group("condor_access")),
        *((host, one(XROOTD_PORT)) for host in site.group("xcache")),
        *((host, worker_ports(host, site.nodes)) for host in site.group("condor_execute")),
    ]
    return [{"cidr": f"{host.address}/32", "ports": ports} for host, ports in places]


def job_image(site: Site, supply: Supply) -> str:
    """What workers' jobs run in: the directory into which execute points unpack the image, or docker's name of it."""
    return supply.image("worker") if site.settings.job_containers == "docker" else WORKER_DIRECTORY


def user_environment(site: Site, supply: Supply) -> dict[str, str]:
    """What a user's pod has to know of the site."""
    access = site.one("condor_access")
    return {
        "CASA_CONDOR_HOST": site.fqdn(site.one("condor_manager")),
        "CASA_SCHEDD_ADDRESS": f"<{access.address}:{CONDOR_PORT}?sock=schedd>",
        "CASA_SCHEDD_NAME": site.fqdn(access),
        "CASA_WORKER_IMAGE": job_image(site, supply),
    }


def login(settings: Settings) -> dict[str, Any]:
    """How users log in, without the secrets."""
    chosen: dict[str, Any] = {"authenticator": settings.authenticator}
    if settings.authenticator == "oidc":
        chosen["oidc"] = {
            "authorize_url": settings.oidc_authorize_url,
            "token_url": settings.oidc_token_url,
            "userinfo_url": settings.oidc_userinfo_url,
            "client_id": settings.oidc_client_id,
            "username_claim": settings.oidc_username_claim,
        }
    return chosen


def identity_ports(settings: Settings) -> list[int]:
    """Ports on which the hub itself asks the identity provider; browsers alone go to where users log in."""
    if settings.authenticator != "oidc":
        return []
    urls = (settings.oidc_token_url, settings.oidc_userinfo_url)
    return sorted({urlsplit(str(url)).port or 443 for url in urls})


def hub_config(site: Site, supply: Supply) -> dict[str, Any]:
    """The hub's config.json; ``casa_hub.settings`` in the hub's image reads it."""
    settings = site.settings
    return {
        "domain": settings.domain,
        "hub_namespace": HUB,
        "users_namespace": USERS,
        "routes_namespace": ROUTES,
        "users": sorted(settings.users),
        "admins": sorted(settings.admins),
        **login(settings),
        "user_image": supply.image("notebook"),
        "worker_image": supply.image("worker"),
        "node_selector": {"casa/users": "true"},
        "storage_class": "casa-local",
        "home_size": settings.home_size,
        "profiles": [profile(entry, rehearsal=settings.rehearsal) for entry in settings.profiles],
        "environment": user_environment(site, supply),
        "credentials_url": f"https://{CREDENTIALS_HOST}:{CREDENTIALS_PORT}",
    }


def client_secret(settings: Settings) -> str:
    """The hub's secret at the identity provider.

    :raises VaultError: it is encrypted and its password was not given.
    """
    if settings.oidc_client_secret is None or settings.oidc_client_secret.plain is None:
        raise VaultError("casa_oidc_client_secret does not open: set ANSIBLE_VAULT_PASSWORD_FILE to the file of the "
                         "password that encrypts it")
    return settings.oidc_client_secret.plain.get_secret_value()


def hub_environment(settings: Settings, credentials: Credentials) -> dict[str, Any]:
    """The hub's secrets, as environment variables; the inventory's own stays encrypted for Ansible to open."""
    secrets: dict[str, Any] = {
        "CONFIGPROXY_AUTH_TOKEN": credentials.secret("hub-proxy-token"),
        "JUPYTERHUB_CRYPT_KEY": credentials.secret("hub-database-key"),
        "JPY_COOKIE_SECRET": credentials.secret("hub-cookie-secret"),
        "CASA_CREDENTIALS_TOKEN": credentials.secret("credentials-service-bearer"),
    }
    if settings.authenticator == "dummy":
        return {**secrets, "CASA_DUMMY_PASSWORD": credentials.secret("hub-dummy-password", 8)}
    return {**secrets, "CASA_OIDC_CLIENT_SECRET": client_secret(settings)}


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return images, configuration, keys and walls of the hub."""
    settings = site.settings
    pair = credentials.certificate("credentials-service", [CREDENTIALS_HOST])
    environment = hub_environment(settings, credentials)
    return {
        "hub_image": supply.image("hub"),
        "hub_proxy_image": supply.image("proxy"),
        "hub_config": hub_config(site, supply),
        "hub_environment": environment,
        "hub_credentials_config": {
            "domain": settings.domain,
            "users_namespace": USERS,
            "cms_site": settings.cms_site,
            "port": CREDENTIALS_PORT,
        },
        "hub_credentials_keys": {
            "bearer": environment["CASA_CREDENTIALS_TOKEN"],
            "condor_key": credentials.condor_key("USERS"),
            "xcache_key": credentials.secret_bytes("xcache-macaroons", 64),
            "tls.crt": pair.certificate,
            "tls.key": pair.key,
        },
        "hub_ca": credentials.ca_certificate,
        "hub_api_addresses": [str(host.address) for host in site.group("kube_control")],
        "hub_identity_ports": identity_ports(settings),
        "hub_user_egress": user_egress(site),
    }
