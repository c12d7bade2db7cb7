"""The report: what it says, what it must not say, and its forms."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import html
import io
import json
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from rich.console import Console

from casa_install import cli, verify
from casa_install.credentials import authority
from casa_install.credentials.expiry import holdings, secret_values
from casa_install.credentials.vault import Vault
from casa_install.engine.history import read_history
from casa_install.engine.journal import CheckRecord, Journal
from casa_install.facility import Facility
from casa_install.phases import ROOT, phases_of
from casa_install.report import supplied, write_report
from casa_install.report.facts import SECRET, settings, state
from casa_install.report.landscape import Drawing, links, narrow, wide, zones
from casa_install.site.load import load_site
from casa_install.site.model import Settings, Site, Vaulted
from casa_install.verify.context import Check, CheckError, Context
from tests.unit.lived_site import EVIL, facility_at, live, make_credentials
from tests.unit.site_inventories import GOOD, replaced, write

FILES = {"report.html", "report.json", "junit.xml", "sbom.cdx.json"}
VOID = {"meta", "br"}


class Page(HTMLParser):
    """A page's tags, attributes and texts; every tag must be closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vault keys and builds of these tests lie below the test's own folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CASA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def facility(tmp_path: Path) -> Iterator[Facility]:
    """The embedded rehearsal, never applied."""
    opened = facility_at(tmp_path / "site")
    yield opened
    opened.close()


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_site_never_applied_has_a_report_that_says_so(facility: Facility, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--inventory", str(facility.site.inventory)]) == 0
    folder = facility.site.state / "report"
    assert set(capsys.readouterr().out.split()) == {str(folder / name) for name in FILES}
    assert {path.name for path in facility.site.state.iterdir()} == {"report"}, "neither vault nor journal is made"
    assert not (tmp_path / "config").exists()
    page = Page((folder / "report.html").read_text())
    assert "This site was never applied." in page.text
    assert "The site was never verified." in page.text
    suite = ElementTree.parse(folder / "junit.xml").getroot()[0]  # noqa: S314 - our own file
    assert suite.get("tests") == "0"


def test_every_host_phase_check_and_setting_is_on_the_page(facility: Facility, tmp_path: Path) -> None:
    make_credentials(facility)
    live(facility, time.time())
    write_report(facility, tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text())
    site = facility.site
    for words in [*(h.name for h in site.hosts), *(str(h.address) for h in site.hosts),
                  *(f"+ /etc/of-{h.name}" for h in site.hosts), *(p.title for p in phases_of(site)),
                  *(check.title for stage in verify.stages(site) for check in stage),
                  *(f"casa_{name}" for name in Settings.model_fields), *(e.name for e in facility.supply.catalog.order
                                                                        if e.name != "nodebase")]:
        assert words in page.text, words
    assert "Converged and verified" in page.text


def test_the_page_needs_nothing_from_elsewhere(facility: Facility, tmp_path: Path) -> None:
    live(facility, time.time())
    write_report(facility, tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text()
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            if name in ("href", "src", "xlink:href"):
                assert value
                assert value.startswith("#"), value
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for t, a in page.tags if t == "a"} <= set(ids)


def test_what_the_journal_holds_is_text_and_never_markup(facility: Facility, tmp_path: Path) -> None:
    detail = f"{EVIL} & \"quoted\" ]]> \x07"
    live(facility, time.time(), task=EVIL, detail=detail, broken="second-pass")
    write_report(facility, tmp_path / "out")
    files = read(tmp_path / "out")
    page = Page(files["report.html"])
    assert "script" not in {tag for tag, _ in page.tags}
    assert EVIL in page.text
    suite = ElementTree.fromstring(files["junit.xml"])[0]  # noqa: S314 - our own file
    [failure] = suite.iter("failure")
    assert failure.text == detail.replace("\x07", "\N{REPLACEMENT CHARACTER}")
    assert EVIL in json.loads(files["report.json"])["changes"][0]["task"]


def test_no_secret_that_this_machine_knows_is_in_any_file(facility: Facility, tmp_path: Path) -> None:
    make_credentials(facility)
    secrets = secret_values(facility.site, facility.credentials)
    with facility.credentials.vault.entries() as entries:
        held = [value["key"] if isinstance(value, dict) else value for value in entries.values()]
    assert len(held) > 15
    assert set(held) <= secrets.keys()
    leak = " ".join(sorted(secrets))  # as if every task and check had said all of them
    live(facility, time.time(), task=f"task {leak}", detail=leak, broken="names")
    write_report(facility, tmp_path / "out")
    files = read(tmp_path / "out")
    assert set(files) == FILES
    for name, content in files.items():
        for secret in secrets:
            assert secret not in content, name
    assert "[secret key of ca]" in files["report.html"]


def test_a_vaulted_setting_is_masked_and_nothing_else(tmp_path: Path) -> None:
    oidc = replaced(("casa_authenticator=dummy\n", ""))
    settings_file = ("casa_authenticator: oidc\ncasa_oidc_authorize_url: https://id.lan/a\n"
                     "casa_oidc_token_url: https://id.lan/t\ncasa_oidc_userinfo_url: https://id.lan/u\n"
                     "casa_oidc_client_id: casa\n")
    sealed = Vault(tmp_path / "v", tmp_path / "k").encrypt("client-secret-in-clear").decode()
    settings_file += "casa_oidc_client_secret: !vault |\n" + "".join(f"  {line}\n" for line in sealed.splitlines())
    inventory = write(tmp_path / "site", oidc, {"group_vars/all.yml": settings_file})
    site = load_site(inventory, vault_passwords=[tmp_path / "k"])
    assert isinstance(site.settings.oidc_client_secret, Vaulted)
    shown = {each["name"]: each["value"] for each in settings(site.settings, "casa_")}
    assert [name for name, value in shown.items() if value == SECRET] == ["casa_oidc_client_secret"]
    assert shown["casa_users"] == ["alice", "bob"]
    opened = Facility(site)
    write_report(opened, tmp_path / "out")
    for name, content in read(tmp_path / "out").items():
        assert "client-secret-in-clear" not in content, name
        assert sealed.splitlines()[1] not in content, name


def _ending(days: float) -> str:
    """PEM of a certificate that ends in so many days."""
    pair = authority.make_authority("casa.test")
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    old = x509.load_pem_x509_certificate(pair.certificate.encode())
    now = dt.datetime.now(dt.UTC)
    made = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).public_key(old.public_key())
            .serial_number(1).not_valid_before(now - dt.timedelta(days=400))
            .not_valid_after(now + dt.timedelta(days=days)).sign(key, hashes.SHA256()))  # type: ignore[arg-type]
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _let_end(facility: Facility, kind: str, days: float) -> str:
    """Have the hub's certificate, or a daemon's token, of the vault end in so many days; its name."""
    with facility.credentials.vault.entries() as entries:
        if kind == "certificate":
            entries["certificate hub"]["certificate"] = _ending(days)
            return "hub"
        label = next(label for label in entries if label.startswith("condor token POOL "))
        claims = jwt.decode(entries[label], options={"verify_signature": False})
        entries[label] = jwt.encode(claims | {"exp": int(time.time() + days * 86400)}, "k" * 32)
        return str(label.removeprefix("condor token "))


@pytest.mark.parametrize("kind", ["certificate", "HTCondor token"])
@pytest.mark.parametrize(("days", "level", "code"), [(30.5, None, 0), (29.5, "soon", 0), (-1, "expired", 1)])
def test_what_ends_within_30_days_is_a_warning_and_what_has_ended_an_error(
    facility: Facility, capsys: pytest.CaptureFixture[str], kind: str, days: float, level: str | None, code: int,
) -> None:
    make_credentials(facility)
    name = _let_end(facility, kind, days)
    assert cli.main(["report", "--inventory", str(facility.site.inventory)]) == code
    said = " ".join(capsys.readouterr().out.split())
    page = Page((facility.site.state / "report" / "report.html").read_text())
    banners = [a["class"] for tag, a in page.tags if "banner" in str(a.get("class"))]
    assert banners == ([f"banner {level}"] if level else [])
    date = f"{dt.datetime.now(dt.UTC) + dt.timedelta(days=days):%Y-%m-%d}"
    ends = {"soon": f"expires on {date}, in 29 days", "expired": f"expired on {date}", None: "expire"}[level]
    for text in (said, page.text):
        assert (f"{kind} {name} {ends}" in text) is bool(level)
    assert ("Ends soon:" in page.text, "Expired:" in page.text) == (level == "soon", level == "expired")
    [held] = [each for each in json.loads((facility.site.state / "report" / "report.json").read_text())["expiry"]
              if (each["kind"], each["name"]) == (kind, name)]
    assert held["state"] == (level or "valid")


def test_all_that_an_apply_makes_with_an_end_is_known(facility: Facility) -> None:
    make_credentials(facility)
    found = holdings(facility.site, facility.credentials)
    assert {"site CA", "hub", "registry", "credentials-service", "xcache-service"} <= {each.name for each in found}
    given = set(facility.role_variables("condor")["condor_tokens"].values())
    assert len(given) > 1
    assert sum(each.kind == "HTCondor token" for each in found) == len(given)


def test_certificates_of_the_cluster_and_of_the_site_are_known(facility: Facility, tmp_path: Path) -> None:
    pem = base64.b64encode(_ending(5).encode()).decode()
    (tmp_path / "proxy.pem").write_text(_ending(3))
    text = facility.site.inventory.read_text() + f'casa_trusted_cas=["{tmp_path}/proxy.pem"]\n'
    facility.site.inventory.write_text(text)
    again = Facility.open(facility.site.inventory)
    again.site.state.mkdir()
    (again.site.state / "kubeconfig").write_text(json.dumps({
        "clusters": [{"name": "casa", "cluster": {"certificate-authority-data": pem}}],
        "users": [{"name": "admin", "user": {"client-certificate-data": pem, "client-key-data": "c2VjcmV0LWtleQ=="}}]}))
    found = holdings(again.site, again.credentials)
    assert [(each.kind, each.name) for each in found] == [
        ("certificate authority", "casa_trusted_cas"), ("certificate", "Kubernetes administrator"),
        ("certificate authority", "Kubernetes cluster CA")]
    assert "c2VjcmV0LWtleQ==" in secret_values(again.site, again.credentials)


def test_junit_has_every_check_with_its_outcome(facility: Facility, tmp_path: Path) -> None:
    live(facility, time.time(), broken="second-pass")
    write_report(facility, tmp_path / "out")
    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()[0]  # noqa: S314 - our own file
    checks = [check.name for stage in verify.stages(facility.site) for check in stage]
    cases = list(suite.iter("testcase"))
    assert [str(case.get("name")).split(":")[0] for case in cases] == checks
    assert [(suite.get(key)) for key in ("tests", "failures", "skipped")] == [
        str(len(checks)), "1", str(len(checks) - 1 - checks.index("second-pass"))]
    [failed] = [case for case in cases if case.find("failure") is not None]
    assert str(failed.get("name")).startswith("second-pass:")
    facts = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [proof["verdict"] for proof in facts["verifications"]] == ["verified", "not verified"]
    assert facts["state"]["words"].endswith("Failed: A second pass comes from the cache.")
    assert [run["verdict"] for run in facts["runs"]] == ["failed", "converged"]


def _squares(file: Path) -> dict[str, list[str]]:
    """Check -> the classes of the squares in its history, as a page draws it, from left to right."""
    text = file.read_text()
    rows = re.findall(r'<tr><th>([^<]*)</th>.*?<svg class="past"[^>]*>(.*?)</svg></td>', text)
    assert len(rows) == text.count('<svg class="past"')
    found = {}
    for title, squares in rows:
        drawn = re.findall(r'<rect class="(\w+)" x="(\d+)"', squares)
        assert [int(x) for _, x in drawn] == [9 * n for n in range(len(drawn))], "beside each other"
        found[html.unescape(title)] = [kind for kind, _ in drawn]
    return found


def test_each_check_has_a_square_for_each_verification(facility: Facility, tmp_path: Path) -> None:
    live(facility, time.time(), broken="second-pass")
    write_report(facility, tmp_path / "out")
    checks = [check for stage in verify.stages(facility.site) for check in stage]
    broken = [check.name for check in checks].index("second-pass")
    assert _squares(tmp_path / "out" / "report.html") == {check.title: [
        "yes", "yes" if number < broken else "no" if number == broken else "un"]
        for number, check in enumerate(checks)}
    page = Page((tmp_path / "out" / "report.html").read_text())
    labels = [a["aria-label"] for _, a in page.tags if a.get("class") == "past"]
    assert labels == [f"{2 if number < broken else 1} of 2 passed" for number in range(len(checks))]
    assert "one square for each of the last 2 verifications" in page.text
    verdicts = re.findall(r"(\d+) of (\d+) (verified|not verified) ", page.text)
    assert verdicts == [(str(broken), str(len(checks)), "not verified"), (str(len(checks)),) * 2 + ("verified",)]


def test_the_newest_20_verifications_are_drawn(facility: Facility, tmp_path: Path) -> None:
    with contextlib.closing(Journal(facility.site.state / "journal.sqlite")) as journal:
        for number in range(25):
            journal.verified(time.time(), [CheckRecord("names", "Names resolve", number not in (3, 24), 1, "")])
    write_report(facility, tmp_path / "out")
    assert _squares(tmp_path / "out" / "report.html") == {"Names resolve": [*["yes"] * 19, "no"]}


def test_a_verification_notes_every_check_in_the_journal(facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
    async def passes(_context: Context) -> str:
        return "seen"

    async def fails(_context: Context) -> str:
        raise CheckError("not as expected")

    table = ((Check("one", "One", passes), Check("two", "Two", fails)), (Check("three", "Three", passes),))
    monkeypatch.setattr(verify, "stages", lambda _site: table)
    with contextlib.closing(Journal(facility.site.state / "journal.sqlite")) as journal:
        journal.begin_run("apply")
        said = io.StringIO()
        assert verify.run(facility, journal, Console(file=said)) == 1
    lines = [re.sub(" +[0-9.]+ s ", "", line) for line in said.getvalue().splitlines()]
    assert {*lines[:2]} == {"passed One: seen", "FAILED Two: not as expected"}
    assert lines[2:] == ["not verified: 1 of 3 checks passed, 1 not run", verify.NEXT.format(facility.site.inventory)]
    [proof] = read_history(facility.site.state / "journal.sqlite").verifications
    assert (proof.run, proof.verdict) == (1, "not verified")
    assert {(c.name, c.passed, c.detail) for c in proof.checks} == {
        ("one", True, "seen"), ("two", False, "not as expected"), ("three", None, "")}


def test_the_bill_of_materials_is_cyclonedx_and_has_every_pin(facility: Facility, tmp_path: Path) -> None:
    write_report(facility, tmp_path / "out")
    text = (tmp_path / "out" / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    refs = [component["bom-ref"] for component in bill["components"]]
    assert len(refs) == len(set(refs))
    known = {*refs, "site"}
    for each in bill["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= known
    assert {entry.id for entry in facility.supply.catalog.order} <= known
    assert "pkg:golang/k8s.io/api@v0.36.3" in known
    assert "pkg:pypi/jupyterhub@6.1.1" in known
    assert "pkg:npm/configurable-http-proxy@5.3.0" in known
    for component in bill["components"]:
        if component["type"] == "library" and not component["purl"].startswith("pkg:deb/"):
            assert component.get("properties") or component.get("externalReferences"), component["purl"]


def test_a_built_program_has_the_checksum_of_each_of_its_files(facility: Facility, tmp_path: Path) -> None:
    entry = facility.supply.catalog.get("etcd", image=False)
    with facility.supply.store.building(entry, facility.supply.key(entry)) as folder:
        (folder / "etcd").write_bytes(b"program")
    write_report(facility, tmp_path / "out")
    digest = hashlib.sha256(b"program").hexdigest()
    facts = json.loads((tmp_path / "out" / "report.json").read_text())
    [etcd] = [each for each in facts["artifacts"] if each["id"] == "etcd"]
    assert (etcd["built"], etcd["sha256"]) == (True, {"etcd": digest})
    assert digest in (tmp_path / "out" / "sbom.cdx.json").read_text()


def test_the_bill_names_what_debian_put_into_an_image(facility: Facility, tmp_path: Path) -> None:
    status = ("Package: bash\nStatus: install ok installed\nDescription: shell\n of GNU\nVersion: 5.2.37-2+b8\n\n"
              "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n")
    entry = facility.supply.catalog.get("base", image=True)
    with facility.supply.store.building(entry, facility.supply.key(entry)) as folder:
        write_layout(folder / "layout", [{"./var/lib/dpkg/status": status}, {"opt/casa": "no package"}])
    for name in ("first", "again"):
        write_report(facility, tmp_path / name)
        bill = json.loads((tmp_path / name / "sbom.cdx.json").read_text())
        [bash] = [each for each in bill["components"] if each["bom-ref"].startswith("pkg:deb/")]
        assert (bash["purl"], bash["version"]) == ("pkg:deb/debian/bash@5.2.37-2%2Bb8", "5.2.37-2+b8")
        [image] = [each for each in bill["dependencies"] if each["ref"] == entry.id]
        assert bash["purl"] in image["dependsOn"]


def write_layout(layout: Path, layers: list[dict[str, str]]) -> None:
    """An image in OCI's form, lowest layer first; a layer is name -> content of its files."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(content: bytes) -> dict[str, str]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}"}

    found = []
    for files in layers:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content.encode()))
        found.append(add(packed.getvalue()))
    manifest = add(json.dumps({"layers": found}).encode())
    (layout / "index.json").write_text(json.dumps({"manifests": [manifest]}))


def test_replaced_modules_are_listed_as_what_replaces_them() -> None:
    recipes = ROOT / "casa_install" / "supply" / "go"
    cilium = {p.name: p for p in supplied.go_modules(recipes / "cilium" / "go.mod")}
    assert "sigs.k8s.io/mcs-api/controllers" not in cilium, "a folder of the project"
    assert cilium["sigs.k8s.io/mcs-api"].version == "v0.5.2"
    traefik = {p.name: p for p in supplied.go_modules(recipes / "traefik" / "go.mod")}
    assert "github.com/gorilla/mux" not in traefik
    assert traefik["github.com/containous/mux"].version == "v0.0.0-20250523120546-41b6ec3aed59"
    assert [each.name for each in [*cilium.values(), *traefik.values()] if not each.go_sum] == []
    python = supplied.python_packages(ROOT / "images" / "hub" / "requirements.lock")
    assert all(each.hashes for each in python)
    assert len(python) == sum("==" in line for line in (ROOT / "images/hub/requirements.lock").read_text().splitlines())


@pytest.mark.parametrize("draw", [wide, narrow])
def test_the_drawing_has_every_connection_and_no_boxes_on_each_other(
    tmp_path: Path, draw: Callable[[Site], Drawing],
) -> None:
    many = replaced(("[condor_execute]\n", "[condor_execute]\n" + "".join(
        f"node-{n} ansible_host=10.1.0.{100 + n}\n" for n in range(1, 31))))
    site = load_site(write(tmp_path, many))
    drawing = draw(site)
    assert [arrow.link for arrow in drawing.arrows] == links(site)
    assert [arrow.number for arrow in drawing.arrows] == list(range(1, len(links(site)) + 1))
    boxes = drawing.boxes
    assert {box.zone.key for box in boxes} == {zone.key for zone in zones(site)}
    for n, one in enumerate(boxes):
        assert one.x + one.width <= drawing.width
        assert one.y + one.height <= drawing.height
        for other in boxes[n + 1:]:
            assert (one.x + one.width <= other.x or other.x + other.width <= one.x
                    or one.y + one.height <= other.y or other.y + other.height <= one.y)
    [execute] = [box for box in boxes if box.zone.key == "execute"]
    assert " ".join(line for _, line in execute.lines).endswith("and 20 more")


def test_real_storage_stands_outside(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, GOOD))
    [storage] = [zone for zone in zones(site) if zone.key == "storage"]
    assert (storage.outside, storage.note) == (True, "storage.lan:1094")
    assert "storage.lan:1094" in [line for box in wide(site).boxes for _, line in box.lines]


def test_a_killed_run_is_said_to_have_no_end(facility: Facility) -> None:
    live(facility, time.time())
    journal = Journal(facility.site.state / "journal.sqlite")
    journal.begin_run("apply")
    journal.begin_phase("dns")
    journal.close()
    history = read_history(facility.site.state / "journal.sqlite")
    assert state(history)["words"] == "The last run did not end: it still goes on, or it was killed."
    write_report(facility, facility.site.state / "report")
    page = Page((facility.site.state / "report" / "report.html").read_text())
    assert "fill-interrupted" in {str(a.get("class")) for _, a in page.tags}
    assert "did not end" in page.text


@pytest.mark.parametrize(("verdict", "kind", "words"), [
    ("converged", "open", "Converged, then changed by remove --component xcache, and not verified since."),
    ("failed", "bad", "The last run, remove --component xcache, failed."),
    (None, "bad", "The last run, remove --component xcache, did not end."),
])
def test_a_removal_is_what_a_report_begins_with(facility: Facility, verdict: str | None, kind: str, words: str) -> None:
    live(facility, time.time())
    with contextlib.closing(Journal(facility.site.state / "journal.sqlite")) as journal:
        journal.begin_run("remove --component xcache")
        if verdict:
            journal.end_run(verdict)
    assert state(read_history(facility.site.state / "journal.sqlite")) == {"kind": kind, "words": words}


def test_a_folder_that_cannot_be_written_is_refused(facility: Facility, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["report", "--inventory", str(facility.site.inventory), "--output", str(facility.site.inventory)])
    assert code == 2
    assert "choose another folder: --output DIR" in " ".join(capsys.readouterr().out.split())
