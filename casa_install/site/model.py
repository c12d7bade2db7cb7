"""The Site: everything an inventory says, typed, checked and frozen.

Every other room reads the Site and nothing else; only :mod:`casa_install.site.load`
knows what an inventory file looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from casa_install.site.problems import Problem

STATE = ".casa"
"""The folder beside an inventory in which casa-install keeps what it knows of the site."""


@dataclass(frozen=True)
class Expected:
    """What a value of an annotated type looks like, in words; ends the sentence "write …"."""

    words: str


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,10}[a-z0-9]$"),
                 Expected("2 to 12 lower-case letters, digits and hyphens, a letter first")]
Domain = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$",
                      min_length=4, max_length=200),
    Expected("a DNS domain in lower case such as casa.physics.edu"),
]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"),
                     Expected("a short name of lower-case letters, digits and hyphens, a letter first")]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,30}$"),
                     Expected("at most 31 lower-case letters and digits, a letter first")]
Quantity = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*(Mi|Gi|Ti)$"),
                     Expected("a whole number with Mi, Gi or Ti, such as 10Gi")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[!-~]*)?$"),
                Expected("a URL that starts with http:// or https://")]
SecureUrl = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[!-~]*)?$"),
                      Expected("a URL that starts with https://")]
Endpoint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,253}:[1-9][0-9]{0,4}$"),
                     Expected("host:port, such as xrootd.physics.edu:1094")]

GROUPS: dict[str, str] = {
    "kube_control": "Kubernetes control plane",
    "kube_workers": "Kubernetes nodes that run user pods",
    "gateway": "Kubernetes nodes that carry Traefik and the public address",
    "condor_manager": "HTCondor central manager",
    "condor_access": "HTCondor access point",
    "condor_execute": "HTCondor execute points",
    "xcache": "XRootD cache",
    "dns": "BIND with the site's zone",
    "registry": "the site's container registry",
    "origin": "XRootD origin that stands for the experiment's storage (rehearsals only)",
}
"""Group name -> what its hosts run."""


class Frozen(BaseModel):
    """A value object: unknown fields are refused, nothing changes after construction."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Vaulted(Frozen):
    """A secret that the inventory holds as an ansible-vault value."""

    ciphertext: str = Field(repr=False)
    """As written; Ansible decrypts ``{"__ansible_vault": ciphertext}`` itself."""
    plain: SecretStr | None = None
    """The secret, when the vault password was given."""


class Profile(Frozen):
    """One entry of the spawn page."""

    slug: Slug
    """Names the profile in the hub."""
    title: str = Field(min_length=1)
    """What users read."""
    description: str = ""
    """A second line below the title."""
    cores: float = Field(gt=0, le=256)
    """Cores of the pod."""
    memory: Quantity
    """Memory of the pod."""
    worker: bool = False
    """A Dask worker runs beside the scheduler, reached on port 8788."""
    worker_cores: int = Field(default=1, gt=0, le=256)
    """Cores of that worker, out of the pod's."""
    worker_memory: Quantity = "2Gi"
    """Memory of that worker, out of the pod's."""


class HostSettings(Frozen):
    """What one host may set for itself (``casa_<field>`` as a host variable)."""

    condor_cpus: int | None = Field(default=None, gt=0, le=1024)
    """Cores this execute point offers; all of the host's when unset."""
    condor_memory: int | None = Field(default=None, gt=127)
    """Memory in MiB this execute point offers; all of the host's when unset."""


class Host(Frozen):
    """One host of the inventory."""

    name: HostName
    address: IPv4Address
    groups: tuple[str, ...]
    settings: HostSettings = HostSettings()


class Settings(Frozen):
    """Site-wide settings: the inventory variable of a field is ``casa_<field>``."""

    site_name: Slug
    """Names virtual hosts, bridge and state; letters, digits and hyphens, at most 12."""
    domain: Domain
    """The site's DNS domain; the hub is ``hub.<domain>``."""
    network: IPv4Network
    """The hosts' network in CIDR form; every host's address lies in it."""
    public_address: IPv4Address
    """The one address users reach: an unused address of the network."""
    pod_network: IPv4Network = IPv4Network("10.244.0.0/16")
    """Addresses of pods in CIDR form."""
    service_network: IPv4Network = IPv4Network("10.96.0.0/16")
    """Addresses of cluster services in CIDR form."""
    rehearsal: bool = False
    """The hosts are virtual hosts that casa-install makes on this machine."""
    trusted_cas: tuple[Path, ...] = ()
    """PEM files of further CAs that hosts and image builds trust (TLS-inspecting proxies)."""
    dns_forwarders: tuple[IPv4Address, ...] = ()
    """Resolvers that the site's name servers ask; by default those their hosts used before."""
    dns_validate: bool = True
    """Name servers check DNSSEC signatures of foreign names; needs forwarders that pass them on."""
    debian_mirror: Url | None = None
    """Debian mirror for virtual hosts, image builds and packages of other releases; the machine's own by default."""
    authenticator: Literal["dummy", "oidc"] = "oidc"
    """How users log in. ``dummy`` (one shared password) is for rehearsals on a domain that is not public."""
    users: tuple[UserName, ...] = Field(min_length=1)
    """Accounts that may log in, also the identities of their HTCondor jobs."""
    admins: tuple[UserName, ...] = ()
    """Accounts with the hub's admin page."""
    oidc_authorize_url: SecureUrl | None = None
    """Authorization endpoint of the identity provider."""
    oidc_token_url: SecureUrl | None = None
    """Token endpoint of the identity provider."""
    oidc_userinfo_url: SecureUrl | None = None
    """User information endpoint of the identity provider."""
    oidc_client_id: Annotated[str, StringConstraints(min_length=1)] | None = None
    """Client id under which the hub is registered."""
    oidc_client_secret: Vaulted | None = None
    """Client secret, as an ansible-vault value."""
    oidc_username_claim: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.:/-]*$"),
                                   Expected("the name of a claim with account names")] = "preferred_username"
    """Claim that becomes the user's name."""
    profiles: tuple[Profile, ...] = (
        Profile(slug="small", title="1 core, 2 GiB", cores=1, memory="2Gi"),
        Profile(slug="worker", title="8 cores, 16 GiB, with a worker", cores=8, memory="16Gi", worker=True,
                worker_cores=4, worker_memory="8Gi"),
    )
    """Choices of the spawn page, the first is the default."""
    job_containers: Literal["apptainer", "docker"] = "apptainer"
    """What runs jobs. ``apptainer`` needs no privileges; ``docker`` makes HTCondor's account as good as root."""
    home_size: Quantity = "10Gi"
    """Size of a user's home volume."""
    cms_site: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{3,40}$"),
                        Expected("3 to 40 letters, digits and underscores")] = "T3_XX_Casa"
    """The site's name in the experiment: XRootD's sitename and the tokens' location."""
    xcache_origin: Endpoint | None = None
    """``host:port`` of the storage behind the cache; the ``origin`` group's host by default."""
    xcache_certificate: Path | None = None
    """PEM file of the certificate by which the cache identifies itself to that storage, with an RSA key; by default one
    of the site CA, which that storage must then be told to trust."""
    xcache_key: Path | None = None
    """PEM file of that certificate's key, not encrypted and readable by its owner alone."""
    xcache_origin_cas: tuple[Path, ...] = ()
    """PEM files of the authorities, roots and intermediates, that vouch for that storage; the site CA always does."""
    xcache_memory: int = Field(default=2, ge=1, le=512)
    """Memory of the cache process in GiB."""


class Site(Frozen):
    """A whole site: settings and hosts."""

    settings: Settings
    hosts: tuple[Host, ...]
    inventory: Path
    """The INI file, absolute."""
    passing: tuple[Problem, ...] = ()
    """What time alone makes wrong, such as an expired certificate: apply refuses then, remove goes on."""
    extra: Mapping[str, Any] = {}
    """Variables of Ansible's own that the command line gives for every host."""
    overruled: tuple[str, ...] = ()
    """What the command line's ``-e`` says, as it is written there."""
    vault_passwords: tuple[Path, ...] = ()
    """Files with the passwords that opened its encrypted values."""

    @property
    def directory(self) -> Path:
        """The folder of the inventory."""
        return self.inventory.parent

    @property
    def state(self) -> Path:
        """Where casa-install keeps what it knows of this site (vault, kubeconfig, logs)."""
        return self.directory / STATE

    def group(self, name: str) -> tuple[Host, ...]:
        """Hosts of a group in the inventory's order; a group that nobody knows is a programming error."""
        if name not in GROUPS:
            raise KeyError(name)
        return tuple(host for host in self.hosts if name in host.groups)

    def one(self, name: str) -> Host:
        """The first host of a group that must have one."""
        return self.group(name)[0]

    def fqdn(self, host: Host | str) -> str:
        """``<host>.<domain>``."""
        return f"{host.name if isinstance(host, Host) else host}.{self.settings.domain}"

    @property
    def nodes(self) -> tuple[Host, ...]:
        """Every host that is a Kubernetes node, once, in the inventory's order."""
        return tuple(h for h in self.hosts if {"kube_control", "kube_workers", "gateway"} & set(h.groups))

    @property
    def registry(self) -> str:
        """``host:port`` of the site registry."""
        return f"{self.fqdn('registry')}:5000"
