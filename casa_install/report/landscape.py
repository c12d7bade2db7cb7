"""What stands where and who talks to whom, as zones and connections made from the Site; drawn wide and narrow.

A zone is one kind of component with its hosts; a host with several tasks stands in several zones. Wide, zones stand on
a grid in which no two connections cross; narrow, one below the other with the connections as arcs beside them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from casa_install.site.model import Host, Site

NAMED = 12
"""Hosts that a zone names; a larger one says how many more there are."""
LINE, PAD, HEAD = 16, 10, 24  # heights in px
COLUMN, GAP, ROW_GAP, MARGIN, RIM = 240, 116, 52, 4, 28
NARROW, BOX = 344, 258


@dataclass(frozen=True)
class Zone:
    """A kind of component: (component, hosts) pairs, and its place on the grid."""

    key: str
    title: str
    parts: tuple[tuple[str, tuple[Host, ...]], ...]
    column: int
    row: int
    note: str = ""
    outside: bool = False
    """Not of the site's hosts."""


@dataclass(frozen=True)
class Link:
    """A connection from one zone to another."""

    source: str
    target: str
    ports: str
    what: str
    secured: str


@dataclass(frozen=True)
class Box:
    """A zone with its lines of text (bold or not) and its rectangle in px."""

    zone: Zone
    lines: tuple[tuple[bool, str], ...]
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Arrow:
    """A connection as an SVG path, with the place of its number and of the label beside it."""

    number: int
    link: Link
    path: str
    x: float
    y: float
    anchor: str = "start"
    dx: float = 14
    dy: float = 4


@dataclass(frozen=True)
class Drawing:
    """Boxes and arrows on a canvas in px."""

    width: float
    height: float
    boxes: tuple[Box, ...] = field(repr=False)
    arrows: tuple[Arrow, ...] = field(repr=False)


def zones(site: Site) -> list[Zone]:
    """The zones that the site has."""
    settings = site.settings
    origin = settings.xcache_origin
    table = [
        Zone("users", "Users", (), 1, 0, f"https://hub.{settings.domain}/", outside=True),
        Zone("gateway", "Gateway", (("Traefik", site.group("gateway")),), 1, 1,
             f"public address {settings.public_address}"),
        Zone("nodes", "User pods", (("hub, notebooks, Dask schedulers", site.group("kube_workers")),), 1, 2),
        Zone("control", "Control plane", (("Kubernetes API, etcd", site.group("kube_control")),), 0, 2),
        Zone("pool", "HTCondor", (("central manager", site.group("condor_manager")),
                                  ("access point", site.group("condor_access"))), 2, 2),
        Zone("execute", "Execute points", ((f"Dask workers in {settings.job_containers}",
                                            site.group("condor_execute")),), 2, 3),
        Zone("xcache", "Cache", (("XCache", site.group("xcache")),), 1, 3),
        Zone("storage", "Experiment's storage", (("XRootD origin", site.group("origin")),), 1, 4, origin or "",
             outside=not site.group("origin")),
        Zone("services", "Site services", (("BIND", site.group("dns")), ("registry", site.group("registry"))), 0, 3,
             "every host asks and pulls here"),
    ]
    return [zone for zone in table if zone.note or any(hosts for _, hosts in zone.parts)]


def links(site: Site) -> list[Link]:
    """The connections between the zones of the site."""
    table = [
        Link("users", "gateway", "443 8786 8788", "browsers to the hub, clients to their Dask schedulers",
             "TLS, told apart by name"),
        Link("gateway", "nodes", "TLS by name", "the hub's proxy, and each user's scheduler",
             "Dask's own TLS passes through"),
        Link("nodes", "control", "6443", "nodes and their pods to the Kubernetes API", "TLS, cluster CA"),
        Link("nodes", "pool", "9618", "users' jobs to the access point", "user's own token, AES"),
        Link("execute", "pool", "9618", "execute points to their central manager and access point", "IDTOKENS, AES"),
        Link("execute", "gateway", "8786", "Dask workers to their user's scheduler", "TLS, user's own Dask CA"),
        Link("nodes", "xcache", "1094", "notebooks read data", "user's macaroon or token"),
        Link("execute", "xcache", "1094", "workers read data", "user's macaroon or token"),
        Link("xcache", "storage", (site.settings.xcache_origin or ":1094").rpartition(":")[2],
             "the cache fetches what it lacks", "the cache's own certificate (GSI)"),
    ]
    present = {zone.key for zone in zones(site)}
    return [link for link in table if {link.source, link.target} <= present]


def _lines(zone: Zone, width: float) -> tuple[tuple[bool, str], ...]:
    """The texts below a zone's title; a character is about 7 px wide."""
    room = int((width - 2 * PAD) / 6.9)
    lines = [(False, line) for line in textwrap.wrap(zone.note, room)]
    for component, hosts in zone.parts:
        if hosts:
            names = ", ".join(host.name for host in hosts[:NAMED])
            more = f" and {len(hosts) - NAMED} more" if len(hosts) > NAMED else ""
            lines += [(False, line) for line in textwrap.wrap(component, room)]
            lines += [(True, line) for line in textwrap.wrap(names + more, room - 2)]
    return tuple(lines)


def _height(lines: Sequence[object]) -> float:
    return HEAD + PAD + LINE * len(lines)


def wide(site: Site) -> Drawing:
    """The drawing for screens and paper: a grid of three columns."""
    present = zones(site)
    texts = {zone.key: _lines(zone, COLUMN) for zone in present}
    rows = sorted({zone.row for zone in present})
    heights = {row: max(_height(texts[z.key]) for z in present if z.row == row) for row in rows}
    tops, top = {}, float(MARGIN)
    for row in rows:
        tops[row] = top
        top += heights[row] + ROW_GAP
    boxes = {z.key: Box(z, texts[z.key], MARGIN + z.column * (COLUMN + GAP), tops[z.row], COLUMN, heights[z.row])
             for z in present}
    arrows = tuple(_straight(number, link, boxes[link.source], boxes[link.target])
                   for number, link in enumerate(links(site), 1))
    return Drawing(MARGIN + 3 * COLUMN + 2 * GAP + RIM + MARGIN, top - ROW_GAP + MARGIN, tuple(boxes.values()), arrows)


def _straight(number: int, link: Link, source: Box, target: Box) -> Arrow:
    """Down or up between rows, sideways within one; across both, up from the top and then sideways."""
    if source.zone.column == target.zone.column:
        x = source.x + source.width / 2
        begin, end = ((source.y + source.height, target.y) if source.y < target.y
                      else (source.y, target.y + target.height))
        return Arrow(number, link, f"M{x:g} {begin:g}V{end:g}", x, (begin + end) / 2)
    left = source.zone.column < target.zone.column
    begin, end = (source.x + source.width, target.x) if left else (source.x, target.x + target.width)
    y = target.y + target.height / 2
    if source.zone.row == target.zone.row:
        return Arrow(number, link, f"M{begin:g} {y:g}H{end:g}", (begin + end) / 2, y, "middle", 0, -14)
    rim = source.x + source.width + RIM  # outside of what stands between
    side = source.y + source.height / 2
    path = (f"M{source.x + source.width:g} {side:g}H{rim - 8:g}Q{rim:g} {side:g} {rim:g} {side - 8:g}"
            f"V{y + 8:g}Q{rim:g} {y:g} {rim - 8:g} {y:g}H{end:g}")
    return Arrow(number, link, path, end + GAP / 2, y, "middle", 0, -14)


def narrow(site: Site) -> Drawing:
    """The drawing for phones: one zone below the other, connections as arcs in lanes at the right."""
    boxes: dict[str, Box] = {}
    top = float(MARGIN)
    for zone in zones(site):
        lines = _lines(zone, BOX)
        boxes[zone.key] = Box(zone, lines, MARGIN, top, BOX, _height(lines))
        top += _height(lines) + 14
    table = list(enumerate(links(site), 1))
    stops = _stops(boxes, [link for _, link in table])
    lanes: list[list[tuple[float, float]]] = []
    arrows = []
    for number, link in sorted(table, key=lambda each: abs(stops[each[1]][0] - stops[each[1]][1])):
        begin, end = stops[link]
        low, high = sorted((begin, end))
        lane = next((i for i, taken in enumerate(lanes) if all(high < a or low > b for a, b in taken)), len(lanes))
        if lane == len(lanes):
            lanes.append([])
        lanes[lane].append((low, high))
        edge, x = MARGIN + BOX, MARGIN + BOX + 22 + 18 * lane
        turn = 8 if end > begin else -8
        path = (f"M{edge} {begin:g}H{x - 8}Q{x} {begin:g} {x} {begin + turn:g}"
                f"V{end - turn:g}Q{x} {end:g} {x - 8} {end:g}H{edge}")
        arrows.append(Arrow(number, link, path, x, (begin + end) / 2))
    return Drawing(max(NARROW, MARGIN + BOX + 22 + 18 * len(lanes)), top - 14 + MARGIN, tuple(boxes.values()),
                   tuple(sorted(arrows, key=lambda arrow: arrow.number)))


def _stops(boxes: dict[str, Box], table: Sequence[Link]) -> dict[Link, tuple[float, float]]:
    """Where each connection leaves its source and reaches its target: heights spread along the boxes' right sides."""
    def middle(key: str) -> float:
        return boxes[key].y + boxes[key].height / 2

    ends: dict[str, list[tuple[float, Link]]] = {key: [] for key in boxes}
    for link in table:
        ends[link.source].append((middle(link.target), link))
        ends[link.target].append((middle(link.source), link))
    place: dict[tuple[str, Link], float] = {}
    for key, found in ends.items():
        for index, (_, link) in enumerate(sorted(found, key=lambda each: each[0]), 1):
            place[key, link] = boxes[key].y + boxes[key].height * index / (len(found) + 1)
    return {link: (place[link.source, link], place[link.target, link]) for link in table}
