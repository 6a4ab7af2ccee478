"""`diamondc run`."""

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diamond.runtime.cli import options
from diamond.runtime.cli.output import put_json
from diamond.runtime.cli.scheme import load, located
from diamond.runtime.failures import EnvironmentProblem
from diamond.runtime.processes.cluster import Cluster, find_cluster
from diamond.runtime.processes.parent import end_with
from diamond.runtime.processes.pulse import beating

if TYPE_CHECKING:
    from diamond.runtime.loop import Result
    from diamond.runtime.processes import Peers
    from diamond.runtime.session import Session


@click.command(
    epilog=options.examples(
        "diamondc run examples/digits.diamond",
        "diamondc run my.diamond --out runs/small --set train.steps=100",
        "diamondc run my.diamond --format json | jq .metrics",
    )
)
@options.scheme_file
@options.out
@click.option(
    "--engine",
    type=click.Choice(["mesh", "reference"]),
    default="mesh",
    show_default=True,
    help="mesh runs the compiled program; reference runs the equations in plain NumPy, "
    "on one device.",
)
@options.devices
@options.overrides
@options.output_format
@click.option(
    "--coordinator",
    metavar="HOST:PORT",
    help="Where the first of several processes listens and the others find it.",
)
@click.option(
    "--num-processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many processes train together; each has an equal part of the mesh. As "
    "SLURM, Open MPI or Kubernetes say where not given; 1 is a run by itself.",
)
@click.option(
    "--process-id",
    type=click.IntRange(min=0),
    metavar="I",
    help="Which of them this is, from 0.",
)
@click.option(
    "--interface",
    metavar="NAME",
    help="The network interface over which CPUs exchange arrays, such as eth0; the one "
    "that the host's own name resolves to where not given.",
)
@options.heartbeat
@click.option(
    "--overlap",
    is_flag=True,
    help="Exchange what is used later than it is formed beside the next steps, on CPUs "
    "by a second virtual device for each.",
)
@click.option(
    "--pulse",
    type=click.Path(dir_okay=False, path_type=Path),
    hidden=True,
    help="A file to write the step to, for a supervisor.",
)
@click.option("--parent", type=int, hidden=True, help="The process to end with.")
def run(
    file: str,
    out: Path | None,
    engine: str,
    devices: int | None,
    overrides: tuple[str, ...],
    output_format: str,
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    interface: str | None,
    heartbeat: int,
    overlap: bool,
    pulse: Path | None,
    parent: int | None,
) -> int:
    """Train a scheme, or go on where an earlier run stopped.

    The state is saved at the end and as often as train.checkpoint says. The same
    command goes on from the last checkpoint, bit for bit. Ctrl-C and SIGTERM save and
    stop, with exit code 130 and 143; twice leaves at once. With --format json, a run
    that fails or is stopped leaves stdout empty.

    Several processes train one scheme if each is told --coordinator, --num-processes
    and --process-id, or if a scheduler has started them. They share the run folder,
    and the first one tells how it goes. See also diamondc launch.
    """
    if parent is not None:
        end_with(parent)
    scheme = load(file, overrides, quietly=bool(process_id))
    cluster = find_cluster(coordinator, num_processes, process_id, os.environ)
    folder = Path("runs") / scheme.name if out is None else out
    with beating(pulse) as progress:
        peers = _joined(cluster, heartbeat, interface)

        from diamond.runtime.progress import Silent, progress_on
        from diamond.runtime.session import open_session, run_session

        progress.teller = Silent() if peers.rank else progress_on(sys.stderr)
        session = open_session(
            scheme,
            Path(file).parent,
            engine=engine,
            num_devices=devices,
            peers=peers,
            overlap=overlap,
        )
        with located(file, overrides):
            result = run_session(session, folder, engine, progress)
        if peers.rank == 0:
            _put(session, result, output_format)
    return 0


def _joined(cluster: Cluster | None, heartbeat: int, interface: str | None) -> "Peers":
    if cluster is None:
        from diamond.runtime.processes import ALONE

        if interface is not None:
            raise EnvironmentProblem("--interface is for one of several processes")
        return ALONE
    from diamond.runtime.processes.join import join

    return join(cluster, heartbeat=heartbeat, interface=interface)


def _put(session: "Session", result: "Result", output_format: str) -> None:
    wire = session.plan.wire_bytes()
    if output_format == "json":
        put_json(_as_data(result, wire))
    else:
        click.echo(_as_text(session.scheme.name, result, wire))


def _as_data(result: "Result", wire: Mapping[str, float]) -> dict[str, object]:
    data = {**_alone(result), "wire_bytes_per_step": dict(wire)}
    if result.student is not None:
        data["student"] = _alone(result.student)
    return data


def _alone(result: "Result") -> dict[str, object]:
    data = dataclasses.asdict(result)
    del data["student"]
    return {**data, "checkpoint": str(result.checkpoint)}


def _as_text(name: str, result: "Result", wire: Mapping[str, float]) -> str:
    from diamond.compiler.explain import quantity

    rows = [("steps", f"{result.steps:,}")]
    if result.loss is not None:
        rows.append(("loss", f"{result.loss:.4g}"))
    rows += [
        (f"held-out {key}", f"{value:.4g}") for key, value in result.metrics.items()
    ]
    if result.steps_per_second is not None:
        rows.append(("steps a second", f"{result.steps_per_second:.4g}"))
    rows += [
        (f"sent over {axis}", f"{quantity(sent, 'B')} a step and device")
        for axis, sent in wire.items()
    ]
    rows.append(("checkpoint", str(result.checkpoint)))
    student = result.student
    if student is not None:
        rows.append(("student's steps", f"{student.steps:,}"))
        rows += [
            (f"student's held-out {key}", f"{value:.4g}")
            for key, value in student.metrics.items()
        ]
        rows.append(("student's checkpoint", str(student.checkpoint)))
    width = max(len(label) for label, _ in rows)
    return "\n".join([name, *(f"  {label:<{width}}  {text}" for label, text in rows)])
