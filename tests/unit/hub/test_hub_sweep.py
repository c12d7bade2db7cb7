"""Which objects are left-overs."""

import logging
from collections.abc import Callable

import pytest
from casa_hub.client import Held
from casa_hub.objects import Found, fresh, gone
from casa_hub.sweep import sweep
from kubernetes_asyncio.client import ApiException

LOG = logging.getLogger("test")


class Cluster:
    """Objects and credentials of users; ``arriving`` is called while a listing is on its way."""

    def __init__(self, objects: list[Found], held: list[Held]) -> None:
        self.objects, self.secrets = objects, held
        self.arriving: Callable[[], None] = lambda: None

    async def found(self) -> list[Found]:
        listed = list(self.objects)
        self.arriving()
        return listed

    async def delete(self, found: Found) -> None:
        self.objects = [one for one in self.objects if one.uid != found.uid]

    async def held(self) -> list[Held]:
        return list(self.secrets)

    async def revoke(self, user: str, uid: str | None = None) -> None:
        self.secrets = [one for one in self.secrets if (one.user, one.uid) != (user, uid)]


async def test_only_what_has_no_owner_goes() -> None:
    kinds = ("service", "alias", "route", "pod")
    objects = [Found(kind, f"dask-{user}", user, f"{kind}-{user}") for user in ("alice", "bob", "") for kind in kinds]
    cluster = Cluster(objects, [Held("alice", "1"), Held("bob", "2")])
    assert await sweep(cluster, cluster, lambda: {"alice"}, LOG) == 9
    assert {one.user for one in cluster.objects} == {"alice"}
    assert [one.user for one in cluster.secrets] == ["alice"]
    assert await sweep(cluster, cluster, lambda: {"alice"}, LOG) == 0


async def test_a_server_that_starts_during_the_sweep_keeps_its_objects() -> None:
    owners: set[str] = set()
    cluster = Cluster([Found("route", "dask-bob", "bob", "old")], [])

    def bob_starts() -> None:
        owners.add("bob")
        cluster.objects = [Found("route", "dask-bob", "bob", "new")]

    cluster.arriving = bob_starts
    assert await sweep(cluster, cluster, lambda: owners, LOG) == 0
    assert [one.uid for one in cluster.objects] == ["new"]


@pytest.mark.parametrize(("status", "raises"), [(404, False), (409, False), (403, True), (500, True)])
async def test_a_deletion_that_finds_nothing_is_done(status: int, raises: bool) -> None:
    async def delete() -> None:
        raise ApiException(status=status)

    if raises:
        with pytest.raises(ApiException):
            await gone(delete())
    else:
        await gone(delete())


async def test_fresh_replaces_what_is_in_the_way() -> None:
    there = {"old"}

    async def create() -> None:
        if there:
            raise ApiException(status=409)
        there.add("new")

    async def delete() -> None:
        there.clear()

    await fresh(create, delete, "a thing")
    assert there == {"new"}


async def test_fresh_gives_up_on_what_never_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casa_hub.objects.ATTEMPTS", 2)

    async def create() -> None:
        raise ApiException(status=409)

    async def delete() -> None:
        return

    with pytest.raises(RuntimeError, match="does not go away"):
        await fresh(create, delete, "a thing")
