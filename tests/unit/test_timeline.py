"""The last apply over time, as it is computed and as the page draws it."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from casa_install.engine.history import Change, PhaseRun, Run, read_history
from casa_install.facility import Facility
from casa_install.phases import phases_of
from casa_install.report import write_report
from casa_install.report.facts import last_apply
from casa_install.report.page import TEMPLATES
from casa_install.report.timeline import Row, Timeline, timeline
from casa_install.supply.supply import duration
from tests.unit.lived_site import PROOF_SECONDS, SECONDS, facility_at, live

PART = 0.02
"""Per cent: two ends of a bar, each rounded to a hundredth."""


@pytest.fixture
def facility(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facility]:
    """A rehearsal with a past."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CASA_CACHE", str(tmp_path / "cache"))
    with closing(facility_at(tmp_path / "site")) as opened:
        live(opened, time.time())
        yield opened


def chart_of(facility: Facility) -> Timeline:
    """The chart of its last apply."""
    run = last_apply(read_history(facility.site.state / "journal.sqlite"))
    assert run
    titles = {phase.name: phase.title for phase in phases_of(facility.site)}
    return timeline(run, titles, [host.name for host in facility.site.hosts])


def lived(facility: Facility) -> tuple[dict[str, float], float]:
    """When each phase of the lived site begins, in seconds of its run, and how long the run takes."""
    begins: dict[str, float] = {}
    for phase in phases_of(facility.site):
        begins[phase.name] = max([0, *(begins[need] + SECONDS[need] for need in phase.needs)])
    return begins, max(begins[name] + SECONDS[name] for name in begins) + PROOF_SECONDS


def test_each_phase_has_a_bar_from_its_begin_to_its_end(facility: Facility) -> None:
    begins, whole = lived(facility)
    rows = {row.label: row for row in chart_of(facility).phases}
    assert rows.keys() == {phase.title for phase in phases_of(facility.site)}
    for phase in phases_of(facility.site):
        row, seconds, changes = rows[phase.title], SECONDS[phase.name], 3 * len(phase.hosts(facility.site))
        [bar] = row.bars
        assert (bar.left, bar.width) == pytest.approx(
            (begins[phase.name] / whole * 100, max(seconds / whole * 100, 0.4)), abs=PART), phase.name
        assert bar.kind == ("converged" if changes else "unchanged")
        assert row.note == f"{duration(seconds)}, {f'{changes} changed' if changes else 'unchanged'}"
        assert bar.title == f"{phase.title}: {row.note}"
        assert row.ticks == pytest.approx(tuple(
            (begins[phase.name] + seconds * (n + 1) / (changes + 1)) / whole * 100 for n in range(changes)), abs=PART)


def test_each_host_has_a_bar_from_a_phases_first_change_to_its_last(facility: Facility) -> None:
    begins, whole = lived(facility)
    rows = chart_of(facility).hosts
    assert [row.label for row in rows] == [host.name for host in facility.site.hosts]
    for host, row in zip(facility.site.hosts, rows, strict=True):
        ran = [phase for phase in phases_of(facility.site) if host in phase.hosts(facility.site)]
        bars = {bar.title: (bar.left, bar.width) for bar in row.bars}
        assert len(bars) == len(row.bars) == len(ran)
        assert row.note == f"{3 * len(ran)} changed"
        assert len(row.ticks) == 3 * len(ran)
        for phase in ran:
            hosts = phase.hosts(facility.site)
            apart = SECONDS[phase.name] / (3 * len(hosts) + 1)  # each of them changes something in turn, three times
            first = begins[phase.name] + apart * (hosts.index(host) + 1)
            assert bars[f"{phase.title}: 3 changed on {host.name}"] == pytest.approx(
                (first / whole * 100, 2 * len(hosts) * apart / whole * 100), abs=PART), (host.name, phase.name)


def test_the_axis_has_marks_at_round_times(facility: Facility) -> None:
    _, whole = lived(facility)
    assert whole == 417
    places, words = zip(*chart_of(facility).axis, strict=True)
    assert words == ("0", "2 min", "4 min", "6 min")
    assert places == pytest.approx(tuple(n * 120 / whole * 100 for n in range(4)), abs=PART)


def ran(seconds: float | None, *phases: PhaseRun, changes: tuple[Change, ...] = ()) -> Run:
    """An apply that began at 1000 seconds since the epoch; without seconds it was killed."""
    return Run(1, "apply", 1000, None if seconds is None else 1000 + seconds, "converged", phases, changes)


@pytest.mark.parametrize(("seconds", "marks"), [
    (0.2, ["0", "1 s"]),
    (6, ["0", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s"]),
    (7, ["0", "2 s", "4 s", "6 s"]),
    (100, ["0", "30 s", "1 min", "90 s"]),
    (3600, ["0", "10 min", "20 min", "30 min", "40 min", "50 min", "1:00 h"]),
    (9000, ["0", "30 min", "1:00 h", "1:30 h", "2:00 h", "2:30 h"]),
])
def test_marks_of_the_axis_fit_the_runs_length(seconds: float, marks: list[str]) -> None:
    axis = timeline(ran(seconds), {}, []).axis
    assert [words for _, words in axis] == marks
    apart = [right - left for (left, _), (right, _) in itertools.pairwise(axis)]
    assert apart == pytest.approx([apart[0]] * len(apart), abs=PART)
    assert (axis[0][0], axis[-1][0] <= 100) == (0, True)


def test_how_a_phase_ended_colours_its_bar() -> None:
    run = ran(100, *(PhaseRun(word, 1000, 1050, word, 2) for word in ("converged", "unchanged", "failed")))
    rows = timeline(run, {"failed": "A phase that fails"}, []).phases
    assert [(row.label, row.note, row.bars[0].kind) for row in rows] == [
        ("converged", "50 s, 2 changed", "converged"), ("unchanged", "50 s, unchanged", "unchanged"),
        ("A phase that fails", "50 s, failed", "failed")]
    styles = (TEMPLATES / "report.css").read_text()
    assert all(f".fill-{kind} {{" in styles for kind in ("converged", "unchanged", "failed", "interrupted"))


def test_what_a_killed_run_was_in_ends_at_its_last_sign_of_life() -> None:
    run = ran(None, PhaseRun("dns", 1000, 1020, "converged", 1), PhaseRun("condor", 1020, None, None, 0),
              changes=(Change("dns", "ns", "A task", 1005), Change("condor", "cm", "Another", 1080)))
    dns, condor = timeline(run, {}, []).phases
    assert (dns.bars[0].left, dns.bars[0].width, dns.ticks) == (0, 25, (6.25,))
    assert (condor.bars[0].left, condor.bars[0].width, condor.bars[0].kind) == (25, 75, "interrupted")
    assert condor.note == "1 min 00 s, interrupted"
    [last] = condor.ticks
    assert 99 < last < 100, "a mark at the very end would not be seen"


def test_what_took_no_time_is_seen() -> None:
    run = ran(1000, PhaseRun("first", 1000, 1000, "unchanged", 0), PhaseRun("last", 2000, 2000, "unchanged", 0),
              changes=(Change("last", "ns", "A task", 2000),))
    chart = timeline(run, {}, ["ns", "idle"])
    assert [(row.bars[0].left, row.bars[0].width) for row in chart.phases] == [(0, 0.4), (99.6, 0.4)]
    assert [(row.label, row.note, len(row.bars), len(row.ticks)) for row in chart.hosts] == [
        ("ns", "1 changed", 1, 1), ("idle", "nothing changed", 0, 0)]


def drawn(page: str) -> dict[str, ElementTree.Element]:
    """The charts of a page by what they are called for those who cannot see."""
    found = [ElementTree.fromstring(text) for text in  # noqa: S314 - our own page
             re.findall(r'<svg class="chart".*?</svg>\n</svg>', page, re.DOTALL)]
    return {str(chart.get("aria-label")): chart for chart in found}


def as_drawn(row: ElementTree.Element) -> tuple[object, ...]:
    """Label, note, bars (left, width, class, title) and marks of a row, as the page has them."""
    label = row.find("text")
    assert label is not None
    bars = [rect for rect in row.findall("rect") if str(rect.get("class")).startswith("fill-")]
    ticks = [rect for rect in row.findall("rect") if rect.get("class") == "tick"]
    return (label.text, label.findtext("tspan"),
            [(rect.get("x"), rect.get("width"), rect.get("class"), rect.findtext("title")) for rect in bars],
            [rect.get("x") for rect in ticks])


def as_computed(row: Row) -> tuple[object, ...]:
    """The same of a row of the timeline."""
    return (row.label, row.note, [(f"{bar.left}%", f"{bar.width}%", f"fill-{bar.kind}", bar.title) for bar in row.bars],
            [f"{tick}%" for tick in row.ticks])


def test_the_page_draws_every_bar_mark_and_row_where_the_timeline_has_it(facility: Facility, tmp_path: Path) -> None:
    write_report(facility, tmp_path / "out")
    charts = drawn((tmp_path / "out" / "report.html").read_text())
    computed = chart_of(facility)
    for name, rows in (("Phases of the last apply over time", computed.phases),
                       ("Changes on each host over time", computed.hosts)):
        chart = charts.pop(name)
        assert [as_drawn(row) for row in chart.findall("svg")] == [as_computed(row) for row in rows]
        tops = [int(str(row.get("y"))) for row in chart.findall("svg")]
        heights = [int(str(row.get("height"))) for row in chart.findall("svg")]
        assert [top + height for top, height in zip(tops, heights, strict=True)] == [
            *tops[1:], int(str(chart.get("height")))], "rows lie below each other, and all in the drawing"
        assert [(line.get("x1"), line.get("x2")) for line in chart.findall("line")] == [
            (f"{at}%", f"{at}%") for at, _ in computed.axis]
        assert [(text.get("x"), text.text, text.get("text-anchor")) for text in chart.findall("text")] == [
            (f"{at}%", words, None if at <= 4 else "end" if at > 92 else "middle") for at, words in computed.axis]
    assert charts == {}
