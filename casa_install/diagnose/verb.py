"""The verb ``diagnose``."""

from __future__ import annotations

import argparse
import datetime as dt
import shutil

from rich.console import Console

from casa_install.diagnose import pack
from casa_install.engine.lock import hold
from casa_install.facility import Facility

PACKED, FAILED, REFUSED = 0, 1, 2


def diagnose(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Write the archive and say which hosts are missing in it; 1 when one is. It may work beside a run that hangs."""
    site = facility.site
    own = site.state / "diagnose"
    archive = (options.output or own / f"{site.settings.site_name}-{dt.datetime.now():%Y%m%d-%H%M%S}.tar.gz").absolute()
    if archive.is_dir():
        console.print(f"{archive} is a folder; write the name of a file: --output FILE", markup=False, soft_wrap=True)
        return REFUSED
    work = own / "work"
    with hold(own / "lock"):
        shutil.rmtree(work, ignore_errors=True)
        try:
            work.mkdir(mode=0o700)
            diagnosis = pack(facility, archive, work)
        except OSError as error:
            console.print(f"{archive} cannot be written: {error.strerror}; choose another: --output FILE", markup=False,
                          soft_wrap=True)
            return REFUSED
        finally:
            shutil.rmtree(work, ignore_errors=True)
    for host, why in diagnosis.missing.items():
        console.print(f"not asked: {host}: {why}", markup=False, soft_wrap=True)
    size = archive.stat().st_size / 1e6
    console.print(f"{len(site.hosts) - len(diagnosis.missing)} of {len(site.hosts)} hosts were asked. Send this file: "
                  f"{archive} ({size:.1f} MB)", markup=False, soft_wrap=True)
    return FAILED if diagnosis.missing else PACKED
