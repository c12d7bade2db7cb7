"""The software bill of materials: CycloneDX 1.6 JSON of what is built, and of what is inside of it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from casa_install.report.supplied import Artifact, Package


def bill(site_name: str, artifacts: Sequence[Artifact], now: dt.datetime) -> dict[str, Any]:
    """The bill of these artifacts as a JSON object."""
    inside = {artifact.id: (*artifact.packages, *artifact.debian) for artifact in artifacts}
    parts = {package.purl: package for packages in inside.values() for package in packages}
    depends = [{"ref": "site", "dependsOn": sorted(artifact.id for artifact in artifacts)}]
    depends += [{"ref": artifact.id, "dependsOn": sorted({*artifact.inputs, *(p.purl for p in inside[artifact.id])})}
                for artifact in artifacts]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": now.isoformat(timespec="seconds"),
            "tools": {"components": [{"type": "application", "name": "casa-install"}]},
            "component": {"type": "platform", "bom-ref": "site", "name": site_name},
        },
        "components": [*map(_artifact, artifacts), *(_package(parts[purl]) for purl in sorted(parts))],
        "dependencies": depends,
    }


def _artifact(artifact: Artifact) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "container" if artifact.kind == "image" else "application", "bom-ref": artifact.id,
        "name": artifact.reference or artifact.name, "version": artifact.version,
        "properties": [{"name": "casa-install:content-key", "value": artifact.key}]}
    if artifact.kind == "image" and artifact.files:
        component["hashes"] = [{"alg": "SHA-256", "content": artifact.files[0][1]}]
    elif artifact.files:
        component["components"] = [
            {"type": "file", "bom-ref": f"{artifact.id}#{name}", "name": name,
             "hashes": [{"alg": "SHA-256", "content": digest}]} for name, digest in artifact.files]
    return component


def _package(package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {"type": "library", "bom-ref": package.purl, "name": package.name,
                                 "version": package.version, "purl": package.purl}
    if package.go_sum:
        component["properties"] = [{"name": "casa-install:go.sum", "value": package.go_sum}]
    elif package.hashes:  # one for each file that would do
        component["externalReferences"] = [{
            "type": "distribution", "url": package.purl,
            "hashes": [{"alg": algorithm, "content": content} for algorithm, content in package.hashes]}]
    return component
