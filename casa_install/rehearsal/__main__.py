"""Command line of the laboratory: ``python -m casa_install.rehearsal``."""

from __future__ import annotations

import argparse
import sys
import time
from ipaddress import IPv4Address, IPv4Network

from casa_install.rehearsal import data, hosts, records, reference
from casa_install.rehearsal.commands import RehearsalError
from casa_install.supply import cache_directory


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (separator and name and value):
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=VALUE")
    return name, value


def _host(text: str) -> tuple[str, IPv4Address]:
    name, address = _pair(text)
    try:
        return name, IPv4Address(address)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"host {name}: {error}") from None


def _memory(text: str) -> tuple[str, int]:
    name, mebibytes = _pair(text)
    if not mebibytes.isdigit() or int(mebibytes) < 128:
        raise argparse.ArgumentTypeError(f"memory of {name}: write a number of MiB, at least 128")
    return name, int(mebibytes)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    main = argparse.ArgumentParser(prog="python -m casa_install.rehearsal", description="Virtual hosts of this machine")
    verbs = main.add_subparsers(dest="verb", required=True)

    up = verbs.add_parser("up", help="bring a lab up, or back to what is asked for")
    up.add_argument("--name", required=True, help="name of the lab")
    up.add_argument("--network", required=True, type=IPv4Network, help="network in CIDR form; the machine is its .1")
    up.add_argument("--host", required=True, type=_host, action="append", metavar="NAME=ADDRESS", dest="hosts")
    up.add_argument("--domain", default="casa.test", help="DNS domain of the hosts (default: %(default)s)")
    up.add_argument("--memory", type=_memory, action="append", default=[], metavar="NAME=MIB", help="limit of a host")
    up.add_argument("--mirror", help="Debian mirror (default: the machine's own)")
    up.add_argument("--resolver", type=IPv4Address, action="append", default=[], help="name server for the hosts")
    up.add_argument("--print-folder", action="store_true", help="end with a line that is the lab's folder")

    down = verbs.add_parser("down", help="remove a lab with everything in it")
    down.add_argument("--name", required=True)
    verbs.add_parser("list", help="labs and their hosts")
    verbs.add_parser("data", help="make the rehearsal's events, and what an analysis of them must give")
    inventory = verbs.add_parser("inventory", help="print a lab's Ansible inventory")
    inventory.add_argument("--name", required=True)
    inventory.add_argument("--path", action="store_true", help="print the file's path instead")
    for verb, text in (
        ("start", "boot a host that is off"),
        ("stop", "shut a host down cleanly; its disk stays"),
        ("kill", "cut a host's power; its disk stays"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("host")
        one.add_argument("--name", required=True)
    return main


def _up(options: argparse.Namespace) -> None:
    wanted = dict(options.hosts)
    if len(wanted) != len(options.hosts):
        raise RehearsalError("a host is named twice")
    lab = hosts.Lab(
        options.name,
        options.network,
        wanted,
        options.domain,
        memory=dict(options.memory),
        mirror=options.mirror,
        upstream_resolvers=options.resolver,
    )
    began = time.monotonic()
    lab.up()
    print(f"lab {lab.name} is up: {len(wanted)} hosts in {time.monotonic() - began:.1f} s")
    print(f"inventory {lab.inventory}")
    print(f"ssh key {lab.private_key}, known hosts {lab.known_hosts}")
    if options.print_folder:
        print(lab.folder)


def _list() -> None:
    for record in records.labs():
        print(f"{record.name} {record.network} {record.domain}")
        for name, state in hosts.status(record).items():
            print(f"  {name} {record.hosts[name].address} {state}")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 1 otherwise."""
    options = parser().parse_args(arguments)
    try:
        if options.verb == "up":
            _up(options)
        elif options.verb == "down":
            for refused in hosts.down(options.name):
                print(f"cannot be put back before the next boot: {refused}", file=sys.stderr)
        elif options.verb == "list":
            _list()
        elif options.verb == "data":
            data.ensure_data(cache_directory(), print)
            reference.ensure_reference(cache_directory(), print)
        elif options.verb == "inventory":
            path = hosts.opened(options.name).inventory
            print(path if options.path else path.read_text().rstrip())
        else:
            {"start": hosts.start, "stop": hosts.stop, "kill": hosts.kill}[options.verb](options.name, options.host)
    except RehearsalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
