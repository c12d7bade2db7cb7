"""JupyterHub's configuration, from the site's settings and the secrets in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from casa_hub.client import CredentialsClient
from casa_hub.hooks import Hooks
from casa_hub.pods import kubespawner
from casa_hub.settings import HubSettings

CA_FILE = Path("/etc/casa/ca.crt")
DATABASE = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"
SECRETS = ("CONFIGPROXY_AUTH_TOKEN", "JUPYTERHUB_CRYPT_KEY", "JPY_COOKIE_SECRET", "CASA_CREDENTIALS_TOKEN")
HUB_PORT = 8081
PROXY_API_PORT = 8001


class ConfigurationError(Exception):
    """The hub cannot start with what it was given; the message says what is missing."""


def _need(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise ConfigurationError(f"the environment variable {name} is not set")
    return value


def _hub(c: Any, settings: HubSettings) -> None:
    inside = f"{settings.hub_namespace}.svc.cluster.local"
    c.JupyterHub.bind_url = "http://:8000"
    c.JupyterHub.public_url = f"{settings.public_url}/"
    c.JupyterHub.hub_bind_url = f"http://:{HUB_PORT}"
    c.JupyterHub.hub_connect_url = f"http://hub.{inside}:{HUB_PORT}"
    c.JupyterHub.db_url = DATABASE
    c.JupyterHub.upgrade_db = True
    # a restart of the hub leaves servers and their routes alone
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.cleanup_proxy = False
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = f"http://proxy-api.{inside}:{PROXY_API_PORT}"
    # also how often the proxy's routes are checked: a restarted proxy has its users back within this time
    c.JupyterHub.last_activity_interval = 10
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}


def _authentication(c: Any, settings: HubSettings, environ: Mapping[str, str]) -> None:
    c.Authenticator.allowed_users = set(settings.users) | set(settings.admins)
    c.Authenticator.admin_users = set(settings.admins)
    if settings.authenticator == "dummy":
        c.JupyterHub.authenticator_class = "dummy"
        c.DummyAuthenticator.password = _need(environ, "CASA_DUMMY_PASSWORD")
        return
    oidc = settings.oidc
    if oidc is None:
        raise ConfigurationError("the authenticator is oidc, but config.json has no oidc section")
    c.JupyterHub.authenticator_class = "generic-oauth"
    c.Authenticator.auto_login = True
    c.Authenticator.enable_auth_state = True  # keeps the refresh token, so that a lost account loses the hub
    c.GenericOAuthenticator.authorize_url = oidc.authorize_url
    c.GenericOAuthenticator.token_url = oidc.token_url
    c.GenericOAuthenticator.userdata_url = oidc.userinfo_url
    c.GenericOAuthenticator.client_id = oidc.client_id
    c.GenericOAuthenticator.client_secret = _need(environ, "CASA_OIDC_CLIENT_SECRET")
    c.GenericOAuthenticator.username_claim = oidc.username_claim
    c.GenericOAuthenticator.scope = list(oidc.scopes)
    c.GenericOAuthenticator.oauth_callback_url = f"{settings.public_url}/hub/oauth_callback"


def configure(c: Any, settings: HubSettings, environ: Mapping[str, str], ca_file: Path = CA_FILE) -> None:
    """Fill JupyterHub's configuration object.

    :raises ConfigurationError: when a secret is missing from the environment.
    """
    for name in SECRETS:
        _need(environ, name)
    credentials = CredentialsClient(settings.credentials_url, environ["CASA_CREDENTIALS_TOKEN"], ca_file)
    hooks = Hooks(settings, credentials)
    _hub(c, settings)
    _authentication(c, settings, environ)
    c.CasaHub.casa_settings = settings
    c.CasaHub.casa_credentials = credentials
    c.CasaHub.sweep_seconds = settings.sweep_seconds
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    for option, value in kubespawner(settings).items():
        setattr(c.KubeSpawner, option, value)
    c.KubeSpawner.pre_spawn_hook = hooks.before
    c.KubeSpawner.post_stop_hook = hooks.after
