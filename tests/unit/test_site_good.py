"""Good inventories, whatever way they are written."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from casa_install import cli
from casa_install.credentials.authority import make_authority
from casa_install.site import GROUPS, InventoryErrors, Site, load_site
from tests.unit.site_inventories import GOOD, load, replaced, write

ROOT = Path(__file__).resolve().parents[2]
EDITS = {
    "kube-1 ansible_host=CHANGEME": "kube-1 ansible_host=10.1.0.11",
    "kube-2 ansible_host=CHANGEME": "kube-2 ansible_host=10.1.0.12",
    "kube-3 ansible_host=CHANGEME": "kube-3 ansible_host=10.1.0.13",
    "gateway-1 ansible_host=CHANGEME": "gateway-1 ansible_host=10.1.0.14",
    "condor-1 ansible_host=CHANGEME": "condor-1 ansible_host=10.1.0.21",
    "exec-1 ansible_host=CHANGEME": "exec-1 ansible_host=10.1.0.31",
    "exec-2 ansible_host=CHANGEME": "exec-2 ansible_host=10.1.0.32",
    "xcache-1 ansible_host=CHANGEME": "xcache-1 ansible_host=10.1.0.41",
    "dns-1 ansible_host=CHANGEME": "dns-1 ansible_host=10.1.0.51",
    "casa_network=CHANGEME": "casa_network=10.1.0.0/24",
    "casa_public_address=CHANGEME": "casa_public_address=10.1.0.200",
    "casa.CHANGEME": "casa.physics.edu", "T2_CHANGEME": "T2_XX_Physics", '["CHANGEME"]': '["alice"]',
    "CHANGEME": "login.physics.edu",
}


def vaulted(text: str, password: str) -> str:
    made = VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text).decode()
    return "!vault |\n" + "".join(f"  {line}\n" for line in made.splitlines())


def test_rehearsal() -> None:
    site = load_site(ROOT / "inventory/rehearsal/site.ini")
    assert len(site.hosts) == 10
    assert all(site.group(name) for name in GROUPS)
    assert site.one("condor_access") == site.one("condor_manager")
    assert site.settings.profiles[1].worker
    assert site.inventory.is_absolute()


def test_example_waits_for_its_edits(tmp_path: Path) -> None:
    example = ROOT / "inventory/example"
    with pytest.raises(InventoryErrors) as refused:
        load_site(example / "site.ini")
    marked = {(file, number) for file in (example / "site.ini", example / "group_vars/all.yml")
              for number, line in enumerate(file.read_text().split("\n"), 1)
              if "CHANGEME" in line and not line.startswith("#")}
    assert {(problem.file, problem.line) for problem in refused.value.problems} == marked


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """The example with every line edited; its secret opens with the password in the file ``password``."""
    text = (ROOT / "inventory/example/site.ini").read_text()
    for old, new in EDITS.items():
        assert old in text
        text = text.replace(old, new)
    variables = (ROOT / "inventory/example/group_vars/all.yml").read_text().replace("CHANGEME\n",
                                                            vaulted("s3cret", "pw"))
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text(variables)
    (tmp_path / "site.ini").write_text(text)
    (tmp_path / "password").write_text("pw\n")
    return tmp_path / "site.ini"


def test_example_edited(edited: Path) -> None:
    closed = load_site(edited)
    assert len(closed.hosts) == 9
    assert closed.settings.oidc_client_secret is not None
    assert closed.settings.oidc_client_secret.plain is None
    opened = load_site(edited, vault_passwords=[edited.with_name("password")]).settings.oidc_client_secret
    assert opened is not None
    assert opened.plain is not None
    assert opened.plain.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(opened)
    assert "ANSIBLE_VAULT" not in repr(opened)


def test_a_secret_that_does_not_open_is_said_before_anything_is_done(
    edited: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(edited.parent / "config"))
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    for verb in (["apply"], ["plan"], ["remove", "--yes"]):
        assert cli.main([*verb, "--inventory", str(edited)]) == 2
        told = capsys.readouterr()
        assert "casa_oidc_client_secret does not open: set ANSIBLE_VAULT_PASSWORD_FILE" in told.out + told.err
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(edited.with_name("password")))
    assert cli.main(["status", "--inventory", str(edited)]) == 0
    assert "Users can log in" in capsys.readouterr().out


def test_an_encrypted_placeholder_is_refused_once_it_opens(edited: Path) -> None:
    variables, password = edited.with_name("group_vars") / "all.yml", edited.with_name("password")
    text = variables.read_text()
    names = ("casa_oidc_client_secret", "ansible_become_password")
    variables.write_text(text[:text.index("casa_oidc_client_secret:")] +
                         "".join(f"{name}: {vaulted('Changeme-5', 'pw')}" for name in names))
    assert load_site(edited)
    with pytest.raises(InventoryErrors) as refused:
        load_site(edited, vault_passwords=[password])
    assert [(problem.file, f"{problem.message}; {problem.remedy}") for problem in refused.value.problems] == [
        (variables, f"{name} is encrypted, but what is encrypted still waits for an edit; encrypt your site's own")
        for name in names]


def hosts(site: Site) -> dict[str, str]:
    return {host.name: str(host.address) for host in site.hosts}


def test_ranges_and_host_vars(tmp_path: Path) -> None:
    site = load(tmp_path, GOOD)
    assert hosts(site)["kube-2"] == "10.1.0.12"
    assert [host.name for host in site.group("kube_workers")] == ["kube-2", "kube-3"]
    assert [host.settings.condor_cpus for host in site.group("condor_execute")] == [24, None]


@pytest.mark.parametrize(("text", "files", "cpus"), [
    (GOOD + "[condor_execute:vars]\ncasa_condor_cpus=3\n", {}, [24, 3]),
    (GOOD, {"group_vars/condor_execute.yml": "casa_condor_cpus: 4\n"}, [24, 4]),
    (GOOD,
     {"group_vars/condor_execute/x.yaml": "casa_condor_cpus: 5\n", "host_vars/exec-2.json": '{"casa_condor_cpus": 6}'},
     [24, 6]),
    (GOOD, {"host_vars/exec-1": "casa_condor_cpus: '7'\n"}, [7, None]),
    (GOOD + "[rack:children]\ncondor_execute\n[rack:vars]\ncasa_condor_cpus=1\n"
            "[condor_execute:vars]\ncasa_condor_cpus=2\n", {}, [24, 2]),
])
def test_narrow_scope_wins(tmp_path: Path, text: str, files: dict[str, str], cpus: list[int | None]) -> None:
    assert [host.settings.condor_cpus for host in load(tmp_path, text, files).group("condor_execute")] == cpus


def test_yaml_over_ini(tmp_path: Path) -> None:
    files = {"group_vars/all/a.yml": "casa_domain: other.lan\nsite_of_ours: 1\n",
             "group_vars/all/b.yml": "casa_users: [carol, alice]\n",
             "group_vars/all/.swp": "]", "group_vars/all/b.yml~": "]"}
    settings = load(tmp_path, GOOD, files).settings
    assert (settings.domain, settings.users) == ("other.lan", ("carol", "alice"))


@pytest.mark.parametrize(("old", "new"), [
    ('["alice", "bob"]', "['alice', 'bob']"), ("casa.lan", '"casa.lan"'), ("casa_domain=", "casa_domain = "),
    ("[dns]", "[dns] # names"), ("10.1.0.51", "10.1.0.51 # rack 3"),
    ("dns-1 ", "dns-1:2222 "), ("10.1.0.51", "'10.1.0.51'"),
    ("[dns]", "; old\n\n[dns]"), ("kube-[2:3]", "kube-[2:3:1]"), ("kube-[2:3]", "kube-2\nkube-3 x=1"),
    ("[all:vars]", "[zone:children]\ndns\nxcache\n[zone:vars]\nx=1\n[all:vars]"), ("\n", "\r\n"),
    ("[kube_control]\nkube-1 ansible_host=10.1.0.11", "[all]\nkube-1 ansible_host=10.1.0.11\n[kube_control]\nkube-1"),
])
def test_the_ways_admins_write(tmp_path: Path, old: str, new: str) -> None:
    text = GOOD.replace(old, new) if old == "\n" else replaced((old, new))
    assert load(tmp_path, text).settings == load(tmp_path, GOOD).settings
    assert hosts(load(tmp_path, text)) == hosts(load(tmp_path, GOOD))


def test_texts_stay_as_written(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD + "casa_oidc_client_id=1e3\n").settings.oidc_client_id == "1e3"


def test_trusted_ca(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(make_authority("casa.lan").certificate)
    assert load(tmp_path, GOOD + 'casa_trusted_cas=["ca.pem"]\n').settings.trusted_cas == (tmp_path / "ca.pem",)


def test_encrypted_file(tmp_path: Path) -> None:
    made = VaultLib([("default", VaultSecret(b"pw"))]).encrypt("casa_home_size: 3Gi\n").decode()
    inventory = write(tmp_path, GOOD, {"group_vars/all.yml": made, "password": "pw"})
    assert load_site(inventory, vault_passwords=[tmp_path / "password"]).settings.home_size == "3Gi"


def test_rehearse_a_real_site(tmp_path: Path) -> None:
    urls = "".join(f"casa_oidc_{name}_url=https://x.example.org/\n" for name in ("authorize", "token", "userinfo"))
    text = replaced(("casa_domain=casa.lan", "casa_domain=casa.example.org"),
                    ("casa_authenticator=dummy", "casa_authenticator=oidc")) + urls + "casa_oidc_client_id=x\n"
    secret = {"group_vars/all.yml": f"casa_oidc_client_secret: {vaulted('x', 'y')}"}
    site = load_site(write(tmp_path, text, secret), rehearse=True)
    assert site.settings.rehearsal
    assert site.settings.public_address == IPv4Address("10.1.0.200")
