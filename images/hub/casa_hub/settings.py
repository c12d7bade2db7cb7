"""The configuration files of the hub and of the credentials service, typed and checked.

Both are JSON, made by the installer; secrets are never in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """A value object: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Resources(Frozen):
    """What a container is promised and what it gets at most; cores, and bytes of memory."""

    cores: float = Field(gt=0)
    memory: int = Field(gt=0)
    cores_guarantee: float = Field(ge=0)
    memory_guarantee: int = Field(ge=0)


class Profile(Frozen):
    """One choice of the spawn page."""

    slug: str
    title: str
    description: str = ""
    notebook: Resources
    worker: Resources | None = None
    """A Dask worker in the same pod, reached on port 8788."""
    worker_threads: int = Field(default=1, gt=0)


class Oidc(Frozen):
    """The identity provider; the client's secret is in the environment."""

    authorize_url: str
    token_url: str
    userinfo_url: str
    client_id: str
    username_claim: str
    scopes: tuple[str, ...] = ("openid", "profile", "email", "offline_access")


class HubSettings(Frozen):
    """Everything the hub knows of its site."""

    domain: str
    hub_namespace: str
    users_namespace: str
    routes_namespace: str
    users: tuple[str, ...] = Field(min_length=1)
    admins: tuple[str, ...] = ()
    authenticator: Literal["dummy", "oidc"]
    oidc: Oidc | None = None
    user_image: str
    worker_image: str
    """What the worker beside the scheduler runs in."""
    node_selector: dict[str, str] = {}
    """Labels of the nodes that users' pods run on."""
    storage_class: str
    home_size: str
    profiles: tuple[Profile, ...] = Field(min_length=1)
    environment: dict[str, str] = {}
    """Further environment of every user's containers; ``{username}`` is the user's slug."""
    credentials_url: str
    start_seconds: int = Field(default=300, gt=0)
    """How long a server may take to start, image pull included."""
    sweep_seconds: int = Field(default=60, gt=0)
    """How often objects without a server are looked for."""

    @property
    def public_url(self) -> str:
        """Where browsers find the hub."""
        return f"https://hub.{self.domain}"


class CredentialsSettings(Frozen):
    """Everything the credentials service knows of its site."""

    domain: str
    users_namespace: str
    cms_site: str
    """The macaroons' location: XRootD's sitename."""
    condor_kid: str = "USERS"
    token_seconds: int = Field(default=86400, ge=4)
    """Life of a token; it is replaced before half of it is over."""
    certificate_days: int = Field(default=365, gt=0)
    port: int = 8443


Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], path: Path) -> Model:
    """Read a configuration file.

    :raises pydantic.ValidationError: for a field that is missing, unknown or wrong; it names the field.
    """
    return model.model_validate_json(path.read_bytes())
