"""Objects of a test in the rehearsal's cluster, in a namespace that ends with the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from casa_install.facility import Facility
from casa_install.verify.context import Context

WAIT_SECONDS = 120


class Trial:
    """A namespace of the cluster and what is done in it."""

    def __init__(self, context: Context, namespace: str) -> None:
        self.context, self.namespace = context, namespace

    def kubectl(self, *argv: str) -> str:
        """Standard output of kubectl in the namespace."""
        return asyncio.run(self.context.kubectl(f"--namespace={self.namespace}", f"--request-timeout={WAIT_SECONDS}s",
                                                *argv))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Have these objects in the namespace."""
        file = self.context.folder / "objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        self.kubectl("apply", f"--filename={file}")

    def ready(self, *pods: str) -> None:
        """Wait until these pods are ready."""
        self.kubectl("wait", "--for=condition=Ready", *(f"pod/{pod}" for pod in pods), f"--timeout={WAIT_SECONDS}s")

    def on(self, host: str, *argv: str) -> str:
        """Standard output of a command that root runs on a host."""
        return asyncio.run(self.context.on(host, *argv))

    def pod(self, name: str, command: list[str], **spec: Any) -> dict[str, Any]:
        """A pod of the toolbox's image."""
        container = {"name": name, "image": self.context.facility.supply.image("toolbox"), "command": command,
                     "volumeMounts": [{"name": volume["name"], "mountPath": "/data"}
                                      for volume in spec.get("volumes", ())]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]} | spec}


@contextmanager
def trial(facility: Facility, namespace: str) -> Iterator[Trial]:
    """A new namespace that is gone at the end."""
    with closing(Context(facility)) as context:
        made = Trial(context, namespace)
        made.kubectl("create", "namespace", namespace)
        try:
            yield made
        finally:
            made.kubectl("delete", "namespace", namespace)
