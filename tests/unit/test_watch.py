"""The watch for secrets finds one that is there."""

from __future__ import annotations

import base64
import subprocess
import time

from tests.watch import CommandLines, found_in

SECRETS = {"correct-horse-battery": "a password", "other-secret-value": "another"}


def test_a_secret_on_a_command_line_is_found() -> None:
    with CommandLines() as watched:
        subprocess.run(["/bin/sh", "-c", "sleep 0.3; : correct-horse-battery"], check=True)
    assert found_in(watched.seen, SECRETS) == {"a password"}


def test_a_program_that_takes_the_place_of_another_is_seen() -> None:
    with CommandLines() as watched:
        started = subprocess.Popen(["/bin/sh", "-c", "sleep 0.2; exec sleep 0.$0", "3"])
        started.wait()
        time.sleep(0.05)
    assert "sleep 0.3 " in watched.seen


def test_an_encoded_secret_is_found_in_a_text() -> None:
    coded = base64.b64encode(b"user:other-secret-value").decode()
    assert found_in(["nothing", f"Authorization: Basic {coded}"], SECRETS) == {"another"}
