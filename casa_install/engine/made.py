"""Reads out of a task's result what it has made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Thing = tuple[str, str, str]
"""Kind and name of what was made, and the kind or value of what was there before, empty for nothing."""
CLUSTER, NAMED = "kubernetes.core.k8s", "casa_objects"
"""Modules that make objects of the cluster, or tell of them."""
MANAGER = "casa-install"
"""In whose name the roles apply objects."""


def singles(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The result itself and those of a task's items."""
    return [single for single in (result, *(result.get("results") or ())) if isinstance(single, dict)]


def things(action: str, result: Mapping[str, Any]) -> Iterator[Thing]:
    """All that a task says it has made; one that hides its result says nothing.

    :param action: name of the task's module.
    """
    for single in singles(result):
        for thing in single.get("record") or ():
            yield thing["kind"], thing["name"], thing["before"]
        if action == NAMED:
            for made in single.get("objects") or ():
                yield _object(made)
        if action == CLUSTER:
            yield from _objects(single)


def applied(single: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What came of each object that a task of ``CLUSTER`` applied, with the object as ``result``."""
    several: list[Mapping[str, Any]] = (single.get("result") or {}).get("results", [single])
    return [each for each in several if "metadata" in (each.get("result") or {})]


def named(about: Mapping[str, Any]) -> str:
    """An object's name by its metadata, behind that of its namespace if it has one."""
    return "/".join(filter(None, (about.get("namespace"), about["name"])))


def _objects(single: Mapping[str, Any]) -> Iterator[Thing]:
    """Objects of the cluster that were made or changed."""
    for each in applied(single):
        if each.get("changed") and each.get("method") != "delete":
            yield _object(each["result"])


def _object(made: Mapping[str, Any]) -> Thing:
    about = made["metadata"]
    return made["kind"], named(about), "" if _is_new(about) else made["kind"]


def _is_new(about: Mapping[str, Any]) -> bool:
    """Whether an object came with its last change, by the cluster's own clock."""
    return any(entry.get("manager") == MANAGER and entry.get("time") == about.get("creationTimestamp")
               for entry in about.get("managedFields") or ())
