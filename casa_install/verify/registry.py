"""The site registry: TLS of the site CA, every image there, nobody but the installer writes."""

from __future__ import annotations

import aiohttp

from casa_install.phases import CLUSTER_IMAGES, USER_IMAGES
from casa_install.verify.context import Check, Context, expect


async def holds_images(context: Context) -> str:
    """Every image that the site uses has a manifest, and a stranger cannot write."""
    registry = context.site.one("registry")
    base = f"https://{registry.address}:5000/v2"
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    images = CLUSTER_IMAGES + USER_IMAGES
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context.tls())) as session:
        for name in images:
            repository, _, tag = context.facility.supply.image(name).partition("/")[2].rpartition(":")
            async with session.get(f"{base}/{repository}/manifests/{tag}", headers={"Accept": accept}) as answer:
                expect(answer.status == 200, f"{repository}:{tag} is not there (HTTP {answer.status})")
        async with session.post(f"{base}/casa/stranger/blobs/uploads/") as answer:
            expect(answer.status in (401, 403), f"a stranger may push (HTTP {answer.status})")
    return f"{len(images)} images, a stranger's push is refused"


CHECKS = (Check("registry", "The registry holds every image", holds_images),)
