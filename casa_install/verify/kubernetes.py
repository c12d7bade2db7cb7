"""The cluster: nodes, pods, storage class."""

from __future__ import annotations

from casa_install.verify.context import Check, Context, expect


async def nodes(context: Context) -> str:
    """Every node of the inventory is Ready at the version of the catalog."""
    version = context.facility.supply.version("kubernetes")
    found = {n["metadata"]["name"]: n for n in await context.objects("nodes")}
    wanted = {h.name for h in context.site.nodes}
    expect(set(found) == wanted, f"nodes are {', '.join(sorted(found))}, expected {', '.join(sorted(wanted))}")
    faults = []
    for name, node in found.items():
        ready = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
        if ready["status"] != "True":
            faults.append(f"{name} is not Ready: {ready.get('message') or ready.get('reason')}")
        runs = node["status"]["nodeInfo"]["kubeletVersion"]
        if runs != f"v{version}":
            faults.append(f"{name} runs {runs}, expected v{version}")
    expect(not faults, "; ".join(faults))
    return f"{len(found)} nodes at {version}"


async def pods(context: Context) -> str:
    """Every pod of the system and of the hub runs and is ready, from the site registry's images only."""
    own = f"{context.site.registry}/"
    items = [p for p in await context.objects("pods", "--all-namespaces")
             if p["metadata"]["namespace"] != "casa-users" and p["status"]["phase"] != "Succeeded"]
    for pod in items:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']} on {pod['spec'].get('nodeName', 'no node')}"
        states = pod["status"].get("containerStatuses", [])
        expect(bool(states) and all(s["ready"] for s in states), f"{name} is not ready")
        for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", []):
            expect(container["image"].startswith(own), f"{name} runs {container['image']}, not from {own}")
    return f"{len(items)} pods ready, every image from the site registry"


async def storage_class(context: Context) -> str:
    """There is one default StorageClass."""
    mark = "storageclass.kubernetes.io/is-default-class"
    found = [c["metadata"]["name"] for c in await context.objects("storageclasses")
             if c["metadata"].get("annotations", {}).get(mark) == "true"]
    expect(len(found) == 1, f"default storage classes: {', '.join(found) or 'none'}, expected one")
    return str(found[0])


CHECKS = (
    Check("nodes", "Kubernetes nodes are ready", nodes),
    Check("pods", "The cluster's pods run", pods),
    Check("storage-class", "Volumes have a default class", storage_class),
)
