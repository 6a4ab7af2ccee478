"""`diamondc launch`."""

import math
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from diamond.dsl.vocabulary import Scheme
from diamond.runtime.cli import options
from diamond.runtime.cli.scheme import load
from diamond.runtime.processes.layout import devices_of_process

SCHEDULERS = ("slurm", "mpi", "k8s")


@click.command(
    epilog=options.examples(
        "diamondc launch my.diamond --hosts 2",
        "diamondc launch my.diamond --hosts 4 --restarts 10 --out runs/long",
        "diamondc launch my.diamond --hosts 4 --print slurm > job.sh",
    )
)
@options.scheme_file
@click.option(
    "--hosts",
    type=click.IntRange(min=1),
    required=True,
    metavar="N",
    help="Processes to start, each with an equal part of the mesh.",
)
@options.out
@options.devices
@options.overrides
@options.output_format
@click.option(
    "--interface",
    metavar="NAME",
    help="The network interface over which CPUs exchange arrays; loopback where not "
    "given.",
)
@options.heartbeat
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Start again if no process ends a step for so long; compiling counts as well. "
    "Without it a run may take its time.",
)
@click.option(
    "--restarts",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Start all processes again from the last checkpoint, N times at most, when "
    "one is lost.",
)
@click.option(
    "--print",
    "scheduler",
    type=click.Choice(SCHEDULERS),
    help="Start nothing, and print how the scheduler starts it on many machines.",
)
def launch(
    file: str,
    hosts: int,
    out: Path | None,
    devices: int | None,
    overrides: tuple[str, ...],
    output_format: str,
    interface: str | None,
    heartbeat: int,
    patience: float | None,
    restarts: int,
    scheduler: str | None,
) -> int:
    """Train a scheme in several processes of this machine, and watch over them.

    Each process runs diamondc run on an equal part of the mesh, the outermost axes
    first, as a host of its own would. If one dies, freezes or is silent, all are
    ended, crash.json in the run folder names it, and all start again from the last
    checkpoint. Ctrl-C and SIGTERM save and stop, as with run.
    """
    scheme = load(file, overrides, quietly=True)
    share = devices_of_process(scheme.mesh, hosts)
    folder = Path("runs") / scheme.name if out is None else out
    shared = [file, "--out", str(folder), *_given(devices, overrides, output_format)]
    if scheduler is not None:
        click.echo(_printed(scheduler, scheme, shared, hosts, share), nl=False)
        return 0

    from diamond.runtime.supervisor import Launch, supervise

    supervise(
        Launch(
            command=[sys.executable, "-m", "diamond.runtime.cli", "run", *shared],
            hosts=hosts,
            share=share,
            folder=folder,
            interface=interface or _loopback(),
            heartbeat=heartbeat,
            patience=patience,
            restarts=restarts,
        )
    )
    return 0


def _given(
    devices: int | None, overrides: Sequence[str], output_format: str
) -> list[str]:
    """Returns the options of `run` that were given."""
    given = [] if devices is None else ["--devices", str(devices)]
    for override in overrides:
        given += ["--set", override]
    return given + ([] if output_format == "text" else ["--format", output_format])


def _printed(
    scheduler: str, scheme: Scheme, shared: Sequence[str], hosts: int, share: int
) -> str:
    from diamond.runtime.supervisor.templates import Job, print_job

    assert math.prod(axis.size for axis in scheme.mesh) == hosts * share
    return print_job(scheduler, Job(scheme.name, tuple(shared), hosts, share))


def _loopback() -> str:
    """Returns the interface that a machine has for itself."""
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name.startswith("lo")), names[0])
