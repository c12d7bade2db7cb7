"""What comes with a role goes exactly: the modules at work in a Debian that lives in a mount namespace of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from casa_install.rehearsal import aptconf, resolvers
from casa_install.rehearsal.base import Base, root_of

ROOT = Path(__file__).resolve().parents[2]

# All of it is in memory and in namespaces of this process, and gone with it. There is no init, so no daemon may start.
DEBIAN = """
mount -t tmpfs -o size=1g test /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
printf '#!/bin/sh\\nexit 101\\n' > /mnt/root/usr/sbin/policy-rc.d
chmod 755 /mnt/root/usr/sbin/policy-rc.d
exec ansible-playbook --inventory /mnt/root, --connection community.general.chroot "tests/lab/$2.yml"
"""


@pytest.mark.parametrize(("playbook", "namespaces"), [
    ("packages", ["--mount", "--pid"]),
    ("files", ["--mount", "--pid", "--net"]),  # kernel settings of its own
])
def test_it_goes_exactly(playbook: str, namespaces: list[str], tmp_path: Path) -> None:
    base = Base(aptconf.machine_mirror(None), tuple(resolvers.machine_resolvers()))
    base.ensure()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(tmp_path)}
    done = subprocess.run(
        ["unshare", *namespaces, "--fork", "--kill-child", "--mount-proc", "sh", "-euc", DEBIAN, "sh",
         str(root_of(base.key)), playbook],
        cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "unreachable=0" in done.stdout, done.stdout[-6000:]
