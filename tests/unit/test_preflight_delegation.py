"""Preflight: whether the world finds the site's names, asked of a name server that answers as it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from casa_install.preflight.delegation import Answers, ask
from casa_install.site.model import Site
from tests.unit.site_inventories import GOOD, load
from tests.unit.test_preflight import judged

USERS = ("hub.casa.lan", "x.dask.casa.lan")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A real site."""
    return load(tmp_path, GOOD)


@pytest.mark.parametrize(("answers", "served", "told"), [
    (dict.fromkeys(USERS, ("10.1.0.200",)), True, []),
    (dict.fromkeys(USERS), False, []),  # a delegation to name servers that do not stand yet
    (dict.fromkeys(USERS), True, ["this machine's name service has no address of hub.casa.lan, x.dask.casa.lan"]),
    (dict.fromkeys(USERS, ()), False, ["this machine's name service has no address of hub.casa.lan, x.dask.casa.lan"]),
    ({USERS[0]: ("10.1.0.200",), USERS[1]: ("10.9.9.9",)}, False,
     ["this machine's name service gives x.dask.casa.lan the address 10.9.9.9, and casa_public_address is 10.1.0.200"]),
])
def test_a_delegation_is_told_with_its_records(site: Site, answers: Answers, served: bool, told: list[str]) -> None:
    found = judged(site, {"dns-1": {"marks": {"dns": "abc"}}} if served else {}, answers=answers).found
    assert [f.problem for f in found] == told
    assert not any(f.refusal for f in found)
    assert all("casa.lan. NS dns-1.casa.lan.; dns-1.casa.lan. A 10.1.0.51, or let" in f.remedy for f in found)


Said = str | dns.rcode.Rcode | None
"""An address, an error, or nothing at all."""
HUB, DASK, WORKER = NAMES = (
    "hub.casa.lan", "casa-install-check.dask.casa.lan", "casa-install-check.dask-worker.casa.lan")


def reply(question: dns.message.Message, said: str | dns.rcode.Rcode) -> dns.message.Message:
    """What a server that answers for others makes of a question."""
    answer = dns.message.make_response(question, recursion_available=True)
    if isinstance(said, str):
        answer.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "A", said))
    else:
        answer.set_rcode(said)
    return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Said]]:
    """What this machine's only name server says of each name; one that is not there has no addresses."""
    said: dict[str, Said] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                packet, asker = own.recvfrom(4096)
                if not packet:
                    return
                question = dns.message.from_wire(packet)
                answer = said.get(question.question[0].name.to_text(omit_final_dot=True), dns.rcode.NOERROR)
                if answer is not None:
                    own.sendto(reply(question, answer).to_wire(), asker)

        class Resolver(dns.resolver.Resolver):
            """Asks the server, as if /etc/resolv.conf named it."""

            def __init__(self) -> None:
                super().__init__(StringIO("nameserver 127.0.0.1\n"))
                self.port = own.getsockname()[1]

        monkeypatch.setattr(dns.resolver, "Resolver", Resolver)
        thread = threading.Thread(target=serve)
        thread.start()
        yield said
        own.sendto(b"", own.getsockname())
        thread.join()


@pytest.mark.parametrize(("said", "answers", "told"), [
    (dict.fromkeys(NAMES, "10.1.0.200"), dict.fromkeys(NAMES, ("10.1.0.200",)), []),
    ({HUB: "10.9.9.9", DASK: "10.1.0.200", WORKER: "10.1.0.200"},
     {HUB: ("10.9.9.9",), DASK: ("10.1.0.200",), WORKER: ("10.1.0.200",)},
     [f"gives {HUB} the address 10.9.9.9, and casa_public_address is 10.1.0.200"]),
    (dict.fromkeys(NAMES, dns.rcode.NXDOMAIN), dict.fromkeys(NAMES, ()), [f"has no address of {', '.join(NAMES)}"]),
    ({HUB: "10.1.0.200", DASK: dns.rcode.NXDOMAIN}, {HUB: ("10.1.0.200",), DASK: (), WORKER: ()},
     [f"has no address of {DASK}, {WORKER}"]),
    # a delegation to name servers that do not stand yet
    (dict.fromkeys(NAMES, dns.rcode.SERVFAIL), dict.fromkeys(NAMES), []),
    ({HUB: "10.1.0.200", DASK: None, WORKER: dns.rcode.REFUSED}, {HUB: ("10.1.0.200",), DASK: None, WORKER: None}, []),
], ids=["right", "wrong", "no such name", "no address", "server fails", "silence"])
def test_what_a_server_says(site: Site, server: dict[str, Said], monkeypatch: pytest.MonkeyPatch,
                            said: Mapping[str, Said], answers: Answers, told: list[str]) -> None:
    monkeypatch.setitem(ask.__globals__, "PATIENCE", 1)  # is waited for in silence
    server.update(said)
    assert ask(site) == answers
    assert [f.problem for f in judged(site, {}, answers=answers).found] == [f"this machine's name service {each}"
                                                                            for each in told]


def test_nobody_is_asked_where_there_is_no_name_server(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def unset() -> None:
        raise dns.resolver.NoResolverConfiguration
    monkeypatch.setattr(dns.resolver, "Resolver", unset)
    assert ask(site) == {}
