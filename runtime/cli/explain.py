"""`diamondc explain`."""

from pathlib import Path
from typing import Any

import click

from diamond.runtime.cli import options
from diamond.runtime.cli.output import put_json
from diamond.runtime.cli.scheme import load, located


@click.command(
    epilog=options.examples(
        "diamondc explain examples/digits.diamond",
        "diamondc explain examples/two_sites.diamond --certify",
        "diamondc explain my.diamond --devices 512 --set mesh.host=512",
        "diamondc explain my.diamond --format json",
    )
)
@options.scheme_file
@click.option(
    "--certify",
    is_flag=True,
    help="Compile, and hold the collectives of the compiled program against the plan.",
)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Compile and certify for the N devices of the mesh, which this machine need "
    "not have: virtual ones stand for them, and nothing runs.",
)
@options.overrides
@options.output_format
def explain(
    file: str,
    certify: bool,
    devices: int | None,
    overrides: tuple[str, ...],
    output_format: str,
) -> int:
    """Explain what a scheme does, in words and figures.

    Shows the mesh, what each axis does, the equations of a step, the bytes that cross
    each axis, the memory of a device, parameters and operations.
    """
    scheme = load(file, overrides)

    from diamond.compiler.plan_json import plan_to_data
    from diamond.runtime.session import open_session

    certify = certify or devices is not None
    session = open_session(
        scheme,
        Path(file).parent,
        engine="mesh" if certify else None,
        num_devices=devices,
        are_virtual=devices is not None,
    )
    with located(file, overrides):
        certificate = session.certify() if certify else None
        plan = session.plan
    if output_format == "text":
        click.echo(session.explain())
        if certificate:
            click.echo(f"\n{certificate}")
        if session.student:
            click.echo(f"\n{session.student.explain()}")
        return 0
    data: dict[str, Any] = {"plan": plan_to_data(plan)}
    data["wire_bytes_per_step"] = plan.wire_bytes()
    if certificate:
        data["certificate"] = [row._asdict() for row in certificate.rows]
        data["certificate_left_out"] = list(certificate.left_out)
    put_json(data)
    return 0
