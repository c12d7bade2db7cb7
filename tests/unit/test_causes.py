"""Causes of failures: what cannot be provoked on a virtual host is told by the words that programs are known to write.

Real faults on real hosts are in ``tests/lab/test_faults.py``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from casa_install.engine.causes import CAUSES, WEAK_CAUSES, Circumstances, explain

ROOT = Path(__file__).resolve().parents[2]
QUIET = Circumstances()


@pytest.mark.parametrize(("message", "meaning"), [
    ("E: Release file for http://deb.debian.org/debian/dists/trixie/InRelease is expired (invalid since 3d 2h 1min).",
     "the package mirror's index is expired by the host's clock"),
    ("E: Release file for http://m/InRelease is not valid yet (invalid for another 2h).",
     "the package mirror's index is not valid yet by the host's clock"),
    ("E: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 0E98404D38",
     "the host's package sources are not signed by a key that it knows"),
    ("failed commit on ref: unexpected commit digest sha256:aa, expected sha256:bb: failed precondition",
     "something arrived that is not what was published"),
    ("FATA[0000] pulling image: registry.casa.test:5000/hub:1: not found: manifest unknown",
     "the registry lacks an image"),
    ('Get "https://10.0.0.1:6443/readyz": x509: certificate has expired or is not yet valid: current time 2026-11-27',
     "a certificate is not valid at this time"),
    ("x509: certificate is valid for a.example.org, not b.example.org",
     "a certificate is made for another name (a.example.org, b.example.org)"),
    ("tls: failed to verify certificate: x509: certificate signed by unknown authority",
     "a certificate is signed by an authority that is not trusted there"),
    ("accept: too many open files", "the limit of open files is reached"),
    ("connect: no route to host\ndial tcp 10.0.0.9:5000: connect: No route to host",
     "a host cannot be reached from another"),
    ("dial tcp 10.0.0.9:5000: connect: connection refused",
     "nothing listens at a place that is needed (10.0.0.9:5000)"),
    ("context deadline exceeded", "something did not answer in time"),
    ("Incorrect sudo password", "sudo does not let the account work as root"),
    ("Decryption failed (no vault secrets were found that could decrypt).", "an encrypted value does not open"),
])
def test_known_words_are_explained(message: str, meaning: str) -> None:
    told = explain(message, QUIET)
    assert told
    assert told.meaning == meaning


def test_what_nobody_knows_is_not_explained() -> None:
    assert explain("the moon is in the wrong phase", QUIET) is None


def test_a_lost_host_is_told_as_such() -> None:
    told = explain("Failed to connect to the host via ssh: timed out", QUIET, unreachable=True)
    assert told
    assert told.meaning == "the host no longer answers by ssh"


@pytest.mark.parametrize(("ahead", "meaning"), [
    (-3600.0, "the host's clock is 3600 s behind this machine's"),
    (31.0, "the host's clock is 31 s ahead of this machine's")])
def test_a_wrong_clock_is_the_cause_of_invalid_certificates(ahead: float, meaning: str) -> None:
    told = explain("x509: certificate has expired or is not yet valid", Circumstances(clock=ahead))
    assert told
    assert told.meaning == meaning


def test_memory_that_ran_out_counts_for_units_that_are_down() -> None:
    said = {"etcd.service": ["starting"]}
    told = explain("Unable to start service etcd", Circumstances(units=said, starved=["etcd.service"]))
    assert told
    assert told.meaning == "the kernel ended etcd.service for want of memory"
    other = explain("Unable to start service etcd", Circumstances(units=said, starved=["job.scope"]))
    assert other
    assert other.meaning == "etcd.service does not stay up: starting"


def test_a_unit_without_words_is_named() -> None:
    told = explain("Unable to start service x", Circumstances(units={"x.service": []}))
    assert told
    assert told.meaning == "x.service does not stay up, and says nothing"


def test_every_cause_is_a_sentence_without_a_stop_and_its_words_compile() -> None:
    for cause in (*CAUSES, *WEAK_CAUSES):
        re.compile(cause.words)
        for text in (cause.meaning, cause.remedy):
            assert text
            assert not text.endswith(".")


def test_a_host_tells_its_circumstances() -> None:
    printed = subprocess.run([sys.executable, str(ROOT / "playbooks/files/circumstances")], capture_output=True,
                             text=True, check=True).stdout
    facts = json.loads(printed)
    known = Circumstances.read(printed, facts["clock"] - 5)
    assert known.clock == pytest.approx(5)
    assert "/" in facts["used"]
