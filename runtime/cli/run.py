"""`diamondc run`."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diamond.runtime.cli import options
from diamond.runtime.cli.output import put_json
from diamond.runtime.cli.scheme import load, located

if TYPE_CHECKING:
    from diamond.runtime.loop import Result


@click.command(
    epilog=options.examples(
        "diamondc run examples/digits.diamond",
        "diamondc run my.diamond --out runs/small --set train.steps=100",
        "diamondc run my.diamond --format json | jq .metrics",
    )
)
@options.scheme_file
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where checkpoints and metrics go; runs/NAME where not given, NAME being the "
    "scheme's name.",
)
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
def run(
    file: str,
    out: Path | None,
    engine: str,
    devices: int | None,
    overrides: tuple[str, ...],
    output_format: str,
) -> int:
    """Train a scheme, or go on where an earlier run stopped.

    The state is saved at the end and as often as train.checkpoint says. The same
    command goes on from the last checkpoint, bit for bit. Ctrl-C and SIGTERM save and
    stop, with exit code 130 and 143; twice leaves at once. With --format json, a run
    that fails or is stopped leaves stdout empty.
    """
    scheme = load(file, overrides)

    from diamond.runtime.progress import progress_on
    from diamond.runtime.session import open_session, run_session

    session = open_session(
        scheme, Path(file).parent, engine=engine, num_devices=devices
    )
    folder = Path("runs") / scheme.name if out is None else out
    with located(file, overrides):
        result = run_session(session, folder, engine, progress_on(sys.stderr))
    wire = session.plan.wire_bytes()
    if output_format == "json":
        put_json(_as_data(result, wire))
    else:
        click.echo(_as_text(scheme.name, result, wire))
    return 0


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
