"""Read by JupyterHub when it starts; everything is decided in casa_hub.configuration."""

import os
from pathlib import Path

from casa_hub.configuration import configure
from casa_hub.settings import HubSettings, read

configure(get_config(), read(HubSettings, Path("/etc/casa-hub/config.json")), os.environ)  # type: ignore[name-defined]  # noqa: F821
