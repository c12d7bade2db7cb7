"""The analysis of the user's day: muon pairs, muons, jets and missing energy of simulated events.

Sent as text to a user's kernel, or run as a program with a JSON object on standard input, with
``CASA`` assigned before:

``files``      URLs or paths of NanoAOD files
``executor``   ``"dask"`` (the facility) or ``"iterative"`` (this process alone: the reference)
``scheduler``  for dask: address of a running scheduler, null to make a CoffeaCasaCluster
``workers``    for dask: how many workers to wait for (seconds: ``timeout``, 180 by default)

Prints one line ``CASA-RESULT <JSON>``: number of events, every histogram's counts (with under- and
overflow), their sha256, seconds, and the hosts that worked. All counts are whole numbers, so the
same events give the same sum however they were split.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import awkward as ak
import hist
from coffea import processor
from coffea.nanoevents import NanoAODSchema

DATASET = "drell_yan"
CHUNK = 50_000
"""Events per task."""


class MuonPairs(processor.ProcessorABC):  # type: ignore[misc]
    """Fills the histograms of one chunk of events."""

    def process(self, events: Any) -> dict[str, Any]:
        """Histograms and the number of events of a chunk."""
        muons = events.Muon
        good = muons[(muons.pt > 5.0) & (abs(muons.eta) < 2.4)]
        pairs = ak.combinations(good, 2, fields=["first", "second"])
        pairs = pairs[pairs.first.charge != pairs.second.charge]
        jets = events.Jet[(events.Jet.pt > 30.0) & (abs(events.Jet.eta) < 2.4)]
        mass = ak.flatten((pairs.first + pairs.second).mass)
        leading = ak.firsts(good.pt[ak.argsort(good.pt, axis=1, ascending=False)])
        return {
            "events": len(events),
            "histograms": {
                "dimuon_mass": filled(hist.axis.Regular(120, 0, 240, name="mass"), mass),
                "leading_muon_pt": filled(hist.axis.Regular(60, 0, 300, name="pt"), ak.drop_none(leading)),
                "muon_eta": filled(hist.axis.Regular(48, -2.4, 2.4, name="eta"), ak.flatten(good.eta)),
                "jet_multiplicity": filled(hist.axis.Integer(0, 15, name="jets"), ak.num(jets)),
                "missing_energy": filled(hist.axis.Regular(50, 0, 250, name="pt"), events.MET.pt),
            },
        }

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Nothing is left to do."""
        return accumulator


def filled(axis: Any, values: Any) -> Any:
    """A histogram of whole counts over one axis."""
    histogram = hist.Hist(axis, storage=hist.storage.Int64())
    histogram.fill(ak.to_numpy(values))
    return histogram


def counts(output: dict[str, Any]) -> dict[str, list[int]]:
    """Counts of every histogram with under- and overflow."""
    return {name: [int(n) for n in h.values(flow=True)] for name, h in sorted(output["histograms"].items())}


def digest(events: int, histograms: dict[str, list[int]]) -> str:
    """sha256 over the number of events and all counts, in hex."""
    text = json.dumps([events, histograms], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def working_host() -> str:
    """Name of the host a task ran on."""
    import socket

    return socket.gethostname()


@contextlib.contextmanager
def dask_client(scheduler: str | None, workers: int, timeout: float) -> Iterator[Any]:
    """A client whose workers are there; a cluster made for it ends with it."""
    from dask.distributed import Client

    with contextlib.ExitStack() as stack:
        if scheduler is None:
            from coffea_casa import CoffeaCasaCluster

            cluster = stack.enter_context(CoffeaCasaCluster())
            cluster.scale(workers)
            client = stack.enter_context(Client(cluster))
        else:
            client = stack.enter_context(Client(scheduler))
        client.wait_for_workers(workers, timeout=timeout)
        yield client


def analyse(files: list[str], executor: Any) -> dict[str, Any]:
    """Run the analysis over the files; any unreadable file raises."""
    NanoAODSchema.warn_missing_crossrefs = False
    runner = processor.Runner(executor=executor, schema=NanoAODSchema, chunksize=CHUNK)
    fileset = {DATASET: {"files": dict.fromkeys(files, "Events")}}
    output: dict[str, Any] = runner(fileset, processor_instance=MuonPairs())
    return output


def report(parameters: dict[str, Any]) -> dict[str, Any]:
    """Do what the parameters say."""
    started = time.monotonic()
    hosts: list[str] = []
    ready = 0.0
    if parameters["executor"] == "dask":
        with dask_client(
            parameters.get("scheduler"), parameters.get("workers", 1), parameters.get("timeout", 180)
        ) as client:
            ready = time.monotonic() - started
            output = analyse(parameters["files"], processor.DaskExecutor(client=client, status=False, retries=1))
            hosts = sorted(client.run(working_host).values())
    else:
        output = analyse(parameters["files"], processor.IterativeExecutor(status=False, compression=None))
    histograms = counts(output)
    return {
        "events": output["events"],
        "histograms": histograms,
        "sha256": digest(output["events"], histograms),
        "hosts": hosts,
        "seconds": {"workers": round(ready, 2), "all": round(time.monotonic() - started, 2)},
    }


if __name__ == "__main__":
    print("CASA-RESULT " + json.dumps(report(globals().get("CASA") or json.load(sys.stdin))), flush=True)
