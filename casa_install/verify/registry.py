"""The site registry: TLS of the site CA, every image there, nobody but the installer writes."""

from __future__ import annotations

import aiohttp

from casa_install.phases import CLUSTER_IMAGES, USER_IMAGES
from casa_install.verify.context import Check, CheckError, Context, expect

ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


async def holds_images(context: Context) -> str:
    """Every image that the site uses has a manifest, and a stranger cannot write."""
    registry = context.site.one("registry")
    images = [context.facility.supply.image(name).partition("/")[2] for name in CLUSTER_IMAGES + USER_IMAGES]
    try:
        async with aiohttp.ClientSession(f"https://{registry.address}:5000/v2/",
                                         connector=aiohttp.TCPConnector(ssl=context.tls())) as session:
            missing = [image for image in images if not await _holds(session, image)]
            async with session.post("casa/stranger/blobs/uploads/") as answer:
                stranger = answer.status
    except aiohttp.ClientError as error:
        raise CheckError(f"{registry.name} ({registry.address}): {error}") from None
    expect(not missing, f"{registry.name} lacks {', '.join(missing)}")
    expect(stranger in (401, 403), f"{registry.name} lets a stranger push (HTTP {stranger})")
    return f"{len(images)} images, a stranger's push is refused"


async def _holds(session: aiohttp.ClientSession, image: str) -> bool:
    repository, _, tag = image.rpartition(":")
    async with session.get(f"{repository}/manifests/{tag}", headers={"Accept": ACCEPT}) as answer:
        return answer.status == 200


CHECKS = (Check("registry", "The registry holds every image", holds_images),)
