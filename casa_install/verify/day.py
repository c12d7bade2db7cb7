"""Two users' day, as a browser and Jupyter would live it, both at the same time.

They log in, get servers, open Dask clusters whose workers are HTCondor jobs, analyse real events through the cache
twice, are kept apart, come back to their files, and leave nothing behind. The sessions live in the context's memory;
:func:`leave` ends them whatever has failed before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time

from casa_install.rehearsal import data, reference
from casa_install.rolevars.hub import job_image
from casa_install.supply import cache_directory
from casa_install.verify.context import Check, CheckError, Context, expect
from casa_install.verify.jupyter import UserSession
from casa_install.verify.sessions import SCHEDULER, both, code, notebook, sessions, start_server

IMAGE = {"apptainer": "ContainerImage", "docker": "DockerImage"}
"""Attribute of a job that names what it runs in."""
WORKERS = 2
ANALYSIS = 600  # seconds for one pass of the analysis
BLOCK = 512 * 1024  # bytes that the cache fetches at least
GONE = 60  # seconds after which nothing of a user may be left


async def log_in(context: Context) -> str:
    """Both users log in at the hub's public name and their servers start with the default profile."""
    settings = context.site.settings
    password = context.facility.credentials.secret("hub-dummy-password", 8)
    for user in settings.users[:2]:
        session = UserSession(f"https://hub.{settings.domain}", user, password, context.ca_file, context.addresses)
        sessions(context).append(await session.__aenter__())

    async def start(session: UserSession) -> float:
        began = time.monotonic()
        await session.login()
        await start_server(session, settings.profiles[0].slug)  # also after a verification that was killed
        return time.monotonic() - began

    took = await both(context, start)
    return ", ".join(f"{user} {seconds:.1f} s" for user, seconds in took.items())


async def identity(context: Context) -> str:
    """A server runs as 6440:11265 from our notebook image, with a home that the user can write."""
    mark = secrets.token_hex(8)
    context.memory["mark"] = mark
    program = ("import os, pathlib\nhome = pathlib.Path.home()\n"
               f"(home / 'casa-verify.txt').write_text({mark!r})\n"
               "print(os.getuid(), os.getgid(), home, os.environ['HOST_IP'])")
    domain = context.site.settings.domain

    async def look(session: UserSession) -> None:
        printed = (await code(session, program, 60)).split()
        wanted = ["6440", "11265", "/home/cms-jovyan", f"{session.user}.dask.{domain}"]
        expect(printed == wanted, f"{session.user}: {printed}, expected {wanted}")

    await both(context, look)
    image = context.facility.supply.image("notebook")
    pods = await context.objects("pods", "--namespace", "casa-users")
    images = {p["spec"]["containers"][0]["image"] for p in pods}
    expect(images == {image}, f"servers run {', '.join(sorted(images))}, expected {image}")
    return f"6440:11265, {image.rpartition('/')[2]}"


async def workers(context: Context) -> str:
    """Each user's Dask cluster has two workers, which are container jobs under the user's own identity."""
    settings = context.site.settings

    async def scale(session: UserSession) -> None:
        panel = f"{session.server_path}dask/clusters"
        status, text = await session.request("GET", panel)
        clusters = json.loads(text) if status == 200 else []
        expect(len(clusters) == 1, f"{session.user}'s Dask panel has no cluster: {status} {text[:300]}")
        # the panel's cluster adapts itself, so a plain number of workers would not last
        bounds = {"adapt": {"minimum": WORKERS, "maximum": WORKERS}}
        status, text = await session.request("PATCH", f"{panel}/{clusters[0]['id']}", json=bounds)
        expect(status == 200, f"{session.user}'s cluster cannot be scaled: {status} {text[:300]}")
        program = ("from dask.distributed import Client\n"
                   f"with Client({SCHEDULER!r}) as client:\n"
                   f"    client.wait_for_workers({WORKERS}, 180)\n"
                   "    print(*client.scheduler_info(n_workers=-1)['workers'])")
        await code(session, program, 240)

    began = time.monotonic()
    await both(context, scale)
    took = time.monotonic() - began
    rows = (await context.on(context.site.one("condor_access").name, "condor_q", "-allusers", "-constraint",
                             "JobStatus == 2", "-af", "User", "AcctGroupUser", IMAGE[settings.job_containers],
                             "DaskSchedulerAddress")).splitlines()
    wanted = job_image(context.site, context.facility.supply)
    for session in sessions(context):
        own = [row.split() for row in rows if row.startswith(f"{session.user}@{settings.domain} ")]
        expect(len(own) >= WORKERS, f"{session.user}@{settings.domain} has {len(own)} running jobs, expected {WORKERS}")
        for _, account, image, address in own:
            expect(account == session.user, f"a job of {session.user} is charged to {account}")
            expect(image == wanted, f"a job of {session.user} runs in {image}, expected {wanted}")
            expect(address == f"tls://{session.user}.dask.{settings.domain}:8786",
                   f"a worker of {session.user} dials {address}")
    return f"{len(rows)} container jobs after {took:.1f} s, under their users' names"


async def versions(context: Context) -> str:
    """Kernel and workers have the same Python and libraries, upstream's client library is unmodified."""
    results = await both(context, lambda s: notebook(s, "versions", 240, scheduler=SCHEDULER, workers=WORKERS))
    for user, result in results.items():
        expect(result["equal"], f"{user}'s workers differ from the notebook: {result['workers']}")
        expect(not result["modified"], f"coffea-casa is modified: {result['modified']}")
    kernel = next(iter(results.values()))["kernel"]
    return f"Python {kernel['python']}, {len(kernel['distributions'])} distributions"


async def _cache_counters(context: Context) -> dict[str, int]:
    """The cache's own counters over the files of the analysis, in bytes."""
    below = data.logical_names()[0].rpartition("/")[0]
    counters: dict[str, int] = json.loads(await context.on(
        context.site.one("xcache").name, "/usr/local/sbin/casa-xcache-stats", "--below", below))
    return counters


async def _pass(context: Context) -> dict[str, float]:
    files = [f"root://xcache/{name}" for name in data.logical_names()]
    results = await both(context, lambda s: notebook(
        s, "analysis", ANALYSIS, files=files, executor="dask", scheduler=SCHEDULER, workers=WORKERS))
    wanted = reference.expected(cache_directory())
    for user, result in results.items():
        expect(result["events"] == wanted["events"], f"{user} saw {result['events']} of {wanted['events']} events")
        for name, counts in wanted["histograms"].items():
            expect(result["histograms"][name] == counts, f"{user}'s {name} differs from the local computation")
    context.memory["events"] = wanted["events"]
    return {user: result["seconds"]["all"] for user, result in results.items()}


async def first_pass(context: Context) -> str:
    """Both users analyse all files at the same time; every bin equals the local computation's."""
    context.memory["before"] = await _cache_counters(context)
    took = await _pass(context)
    return f"{context.memory['events']} events each, " + ", ".join(f"{u} {s:.1f} s" for u, s in took.items())


async def _settled(context: Context) -> dict[str, int]:
    """The cache's counters once it has written down all that it has fetched."""
    counters = await _cache_counters(context)
    for _ in range(12):
        await asyncio.sleep(5)
        later = await _cache_counters(context)
        if later == counters:
            break
        counters = later
    return counters


async def second_pass(context: Context) -> str:
    """The same again comes from the cache: it holds not one block more than before."""
    before = await _settled(context)
    took = await _pass(context)
    after = await _settled(context)
    expect(before["disk_used_bytes"] > 0, "the cache holds nothing of the first pass")
    grown = after["disk_used_bytes"] - before["disk_used_bytes"]
    expect(grown < BLOCK, f"the cache fetched {grown} bytes again")
    held = after["disk_used_bytes"] / 1e6
    return f"no block fetched, {held:.0f} MB held, " + ", ".join(f"{u} {s:.1f} s" for u, s in took.items())


async def served(context: Context) -> str:
    """The cache gave users mostly what it held, and passed nothing by; it counts when files are closed."""
    before, after = context.memory["before"], await _settled(context)
    grown = {name: after[name] - before[name] for name in after}
    given = grown["bytes_hit"] + grown["bytes_missed"]
    expect(grown["bytes_hit"] > grown["bytes_missed"], f"of {given} bytes only {grown['bytes_hit']} were in the cache")
    expect(grown["bytes_bypassed"] == 0, f"{grown['bytes_bypassed']} bytes went past the cache")
    return (f"{grown['bytes_hit'] / 1e6:.0f} of {given / 1e6:.0f} MB given to users were in the cache, "
            f"{grown['disk_used_bytes'] / 1e6:.0f} MB were fetched")


async def notebook_reads(context: Context) -> str:
    """The notebook itself reads a file through the cache with the user's token; without a token it is refused."""
    url = f"root://xcache/{data.logical_names()[0]}"
    program = ("import os, subprocess, sys, uproot\n"
               f"print(uproot.open({url!r})['Events'].num_entries)\n"
               "bare = {k: v for k, v in os.environ.items() if k != 'BEARER_TOKEN_FILE'}\n"
               "code = 'import sys, uproot; uproot.open(sys.argv[1])'\n"
               f"alone = [sys.executable, '-c', code, {url!r}]\n"
               "print(subprocess.run(alone, env=bare, capture_output=True).returncode)")

    async def read(session: UserSession) -> str:
        entries, refused = (await code(session, program, 120)).split()
        expect(int(entries) > 0, f"{session.user} read an empty file")
        expect(refused != "0", f"{session.user} read without a token")
        return entries

    entries = await both(context, read)
    return f"{next(iter(entries.values()))} events of one file; without token refused"


async def apart(context: Context) -> str:
    """One user's certificate is refused by the other's scheduler."""
    first, second = sessions(context)[:2]
    domain = context.site.settings.domain
    program = ("import asyncio\nfrom distributed import Client\nfrom distributed.security import Security\n"
               "pem = '/etc/cmsaf-secrets/'\n"
               "own = Security(require_encryption=True, tls_ca_file=pem + 'ca.pem', tls_client_cert=pem + "
               "'usercert.pem', tls_client_key=pem + 'usercert.pem')\n"
               "async def dial(name):\n"
               f"    async with Client(f'tls://{{name}}.dask.{domain}:8786', security=own, timeout=15, "
               "asynchronous=True) as client:\n"
               "        return await client.submit(lambda: 6 * 7, pure=False)\n"
               f"print('own', await dial({first.user!r}))\n"
               "try:\n"
               f"    print('foreign', await dial({second.user!r}))\n"
               "except Exception as error:\n    print('refused', type(error).__name__)")
    printed = await code(first, program, 120)
    expect("own 42" in printed, f"{first.user} does not reach the own scheduler: {printed}")
    expect("refused" in printed and "foreign" not in printed, f"{first.user} reached {second.user}'s scheduler")
    return f"{first.user}'s certificate works for {first.user} and is refused by {second.user}'s scheduler"


async def home_survives(context: Context) -> str:
    """A stopped server comes back with the user's files."""
    session = sessions(context)[0]
    await start_server(session, context.site.settings.profiles[0].slug)
    printed = await code(session, "import pathlib\nprint((pathlib.Path.home() / 'casa-verify.txt').read_text())", 60)
    expect(printed.strip() == context.memory["mark"], f"{session.user}'s file is not there: {printed}")
    return f"{session.user}'s file is there after a restart of the server"


async def worker_beside(context: Context) -> str:
    """In a profile with a worker beside the scheduler, HTCondor's workers reach that one by its own name."""
    settings = context.site.settings
    profiles = [p.slug for p in settings.profiles if p.worker]
    if not profiles:
        return "no profile of this site has one"
    session = sessions(context)[1]
    await start_server(session, profiles[0])
    address = f"tls://{session.user}.dask-worker.{settings.domain}:8788"
    found = await notebook(session, "beside", 300, scheduler=SCHEDULER, beside=address)
    expect(found["made"] == address, f"{found['made']} did what {address} was asked for")
    expect(found["fetched"] != address, "the result never left the worker that made it")
    expect(found["equal"], f"what {found['fetched']} fetched from {address} is not what was made there")
    return f"{found['fetched']} fetched a result from {address}"


async def _left(context: Context) -> list[str]:
    """What of any user is still there: pods, Services, Secrets, routes, jobs."""
    found = []
    for kind, namespace in (("pods", "casa-users"), ("services", "casa-users"), ("secrets", "casa-users"),
                            ("services", "casa-routes"), ("ingressroutetcps.traefik.io", "casa-routes")):
        for item in await context.objects(kind, "--namespace", namespace, "--selector", "jhub_user"):
            found.append(f"{kind} {item['metadata']['name']}")
    access = context.site.one("condor_access").name
    queue = await context.on(access, "condor_q", "-allusers", "-af", "ClusterId", "User")
    return found + [f"job {row}" for row in queue.splitlines()]


async def gone(context: Context) -> str:
    """Both stop; within a minute no job, Service, route, Secret or pod of theirs is left."""
    began = time.monotonic()
    await both(context, lambda session: session.stop())
    while left := await _left(context):
        if time.monotonic() - began > GONE:
            raise CheckError(f"left after {GONE} s: {', '.join(left)}")
        await asyncio.sleep(2)
    return f"nothing left after {time.monotonic() - began:.1f} s"


async def leave(context: Context) -> None:
    """End every session, also after a failed check, so that a verification leaves no server running."""
    for session in sessions(context):
        with contextlib.suppress(Exception):  # the check that failed has told what is wrong
            await session.stop()
        await session.__aexit__(None, None, None)


CHECKS = (
    Check("login", "Users log in and get servers", log_in),
    Check("identity", "Servers are the users' own", identity),
    Check("workers", "Workers are the users' HTCondor jobs", workers),
    Check("versions", "Notebook and workers have equal libraries", versions),
    Check("first-pass", "Histograms equal a local computation", first_pass),
    Check("second-pass", "A second pass comes from the cache", second_pass),
    Check("notebook-reads", "Notebooks read through the cache", notebook_reads),
    Check("apart", "Users are kept apart", apart),
    Check("home", "Homes survive a restart", home_survives),
    Check("beside", "A worker beside the scheduler has its own name", worker_beside),
    Check("gone", "Nothing of a stopped user is left", gone),
    Check("served", "The cache has counted the day", served),
)
