"""Ctrl-C, where nothing else helps."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from casa_install.engine import interrupt
from casa_install.engine.interrupt import Interrupt, Interrupted, Reporter

WAITS = """
import subprocess, sys, time
from pathlib import Path
from casa_install.engine.interrupt import Interrupt
with Interrupt(sys.argv[1], Path(sys.argv[1]) / "flag", lambda text: print(text, flush=True), patience=0.5):
    print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid, flush=True)
    time.sleep(600)  # nothing that a signal would end
"""


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_a_step_that_does_not_end_is_left_behind(tmp_path: Path, signals: list[signal.Signals]) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout
            child = int(program.stdout.readline())
            said = ""
            for number in signals:
                program.send_signal(number)
                said += program.stdout.readline()
            said += program.stdout.read()
            assert program.wait(30) == interrupt.EXIT == 130
        finally:
            program.kill()
    assert said.splitlines() == [interrupt.FINISHING, interrupt.STOPPING, interrupt.STUCK][2 - len(signals):]
    status = Path(f"/proc/{child}/stat")
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_step_ends_where_it_may(tmp_path: Path) -> None:
    listening = Interrupt("a run", tmp_path / "flag", lambda _text: None)
    shown: list[str] = []
    report = Reporter(listening, shown.append)
    report.pause()
    report("works")
    listening.level = 1
    report("works on")
    with pytest.raises(Interrupted):
        report.pause()
    listening.level = 2
    with pytest.raises(Interrupted):
        report("is over")
    assert shown == ["works", "works on"]


def test_signals_are_the_programs_own_again_afterwards(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    flag = tmp_path / "folder" / "flag"
    told: list[str] = []
    with Interrupt(str(tmp_path), flag, told.append) as listening:
        signal.raise_signal(signal.SIGINT)
    assert (listening.asked, listening.at_once) == (True, False)
    assert told == [interrupt.FINISHING]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert not flag.exists()
