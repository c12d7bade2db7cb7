"""Users' volumes lie on the users' node, and outlive pods and the provisioner."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from trial import Trial, trial

from casa_install.facility import Facility

USER, GROUP = 6440, 11265


def claim(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}


def user(volumes: Trial, name: str) -> dict[str, Any]:
    """A pod like a user's, with the claim of its name."""
    return volumes.pod(name, ["sleep", "infinity"], nodeSelector={"casa/users": "true"},
                       securityContext={"runAsUser": USER, "runAsGroup": GROUP, "fsGroup": GROUP},
                       volumes=[{"name": "home", "persistentVolumeClaim": {"claimName": name}}])


def of_claims(volumes: Trial) -> list[dict[str, Any]]:
    """The volumes behind this test's claims."""
    items = json.loads(volumes.kubectl("get", "persistentvolumes", "--output=json"))["items"]
    return [one for one in items if one["spec"]["claimRef"]["namespace"] == volumes.namespace]


def place(volume: dict[str, Any]) -> tuple[str, str]:
    """Node and folder of a volume."""
    term = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]
    return term["values"][0], volume["spec"]["local"]["path"]


@pytest.fixture(scope="module")
def volumes(facility: Facility) -> Iterator[Trial]:
    """A user's pod with a volume; volumes are retained by design, so the test takes its own away."""
    with trial(facility, "trial-storage") as made:
        try:
            made.apply(claim("first"), user(made, "first"))
            made.ready("first")
            yield made
        finally:
            left = of_claims(made)
            made.kubectl("delete", "pods,persistentvolumeclaims", "--all")
            for volume in left:
                node, folder = place(volume)
                made.kubectl("delete", "persistentvolume", volume["metadata"]["name"])
                made.on(node, "rm", "--recursive", folder)


def test_a_user_writes_a_volume(volumes: Trial, facility: Facility) -> None:
    """It is the group's, is kept, and what the user writes lies on the node for users that runs the pod."""
    assert volumes.kubectl("exec", "first", "--", "stat", "-c", "%a %u:%g", "/data").strip() == f"2770 0:{GROUP}"
    volumes.kubectl("exec", "first", "--", "sh", "-c", "echo kept > /data/file")
    (volume,) = of_claims(volumes)
    assert volume["status"]["phase"] == "Bound"
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    node, folder = place(volume)
    assert node == volumes.kubectl("get", "pod", "first", "--output=jsonpath={.spec.nodeName}")
    assert node in [host.name for host in facility.site.group("kube_workers")]
    assert volumes.on(node, "stat", "--format=%u:%g %s", f"{folder}/file") == f"{USER}:{GROUP} 5"


def test_data_outlive_the_pod_and_the_killed_provisioner(volumes: Trial) -> None:
    """The next pod finds the file while no provisioner runs; the next provisioner serves new claims."""
    volumes.kubectl("exec", "first", "--", "sh", "-c", "echo mine > /data/second")
    provisioner = ("--namespace=local-path-storage", "--selector=app.kubernetes.io/name=local-path-provisioner")
    before = volumes.kubectl("get", "pods", *provisioner, "--output=jsonpath={.items[*].metadata.uid}")
    volumes.kubectl("delete", "pod", "first", "--now")
    volumes.kubectl("delete", "pods", *provisioner, "--grace-period=0", "--force")
    volumes.apply(user(volumes, "first"), claim("later"), user(volumes, "later"))
    volumes.ready("first", "later")
    assert volumes.kubectl("exec", "first", "--", "cat", "/data/second") == "mine\n"
    assert len({place(volume) for volume in of_claims(volumes)}) == 2
    after = volumes.kubectl("get", "pods", *provisioner, "--output=jsonpath={.items[*].metadata.uid}")
    assert after != before
