"""Bytes on the wire of every codec and preset, certified against the compiled HLO.

The transformer is that of `examples/text.diamond`, wider, over 8 members. A figure is
the plan's formula; `certify` holds that the compiled program carries exactly that.
"""

from collections.abc import Iterator
from typing import NamedTuple

import diamond
from diamond.dsl.load import load_text

MEMBERS = 8
STEPS = 1000
EXAMPLE = """
scheme wire

model transformer {{ layers = 4; width = 256; heads = 4; context = 32 }}

data text {{ batch = 8 }}

train {{ optimizer = adam(lr = 1e-3); steps = {steps} }}

mesh {{ chip = {members} }}

replicas over chip {{
  consistency = {consistency}
  compression = {compression}
}}
"""


class Row(NamedTuple):
    """What a scheme sends.

    Attributes:
        consistency: The rule, as the language writes it.
        compression: The codec, likewise.
        bytes: Bytes that a device sends, mean a step.
        ratio: How many times fewer than a dense fp32 all-reduce.
    """

    consistency: str
    compression: str
    bytes: float
    ratio: float


CASES = (
    ("synchronous", "none"),
    ("synchronous", "cast(to = bf16)"),
    ("synchronous", "cast(to = fp8_e4m3)"),
    ("synchronous", "int8"),
    ("synchronous", "int4"),
    ("synchronous", "qsgd(bits = 4)"),
    ("synchronous", "qsgd(bits = 2)"),
    ("synchronous", "ternary"),
    ("synchronous", "sign"),
    ("synchronous", "onebit(start = 100)"),
    ("synchronous", "topk(density = 1 %)"),
    ("synchronous", "topk(density = 0.1 %)"),
    ("synchronous", "randomk(density = 1 %)"),
    ("synchronous", "dgc"),
    ("synchronous", "powersgd(rank = 2)"),
    ("synchronous", "powersgd(rank = 1)"),
    ("synchronous", "gradiveq"),
    ("local(every = 50, outer = nesterov)", "none"),
    ("local(every = 50, outer = nesterov)", "int8"),
    ("local(every = 50, outer = nesterov)", "int4"),
    ("local(every = 50, outer = nesterov, fragments = 2)", "int4"),
)


def measure() -> Iterator[Row]:
    """Compiles each case, certifies it, and yields what it sends.

    Raises:
        CertificateError: If the compiled program sends anything else.
    """
    for consistency, compression in CASES:
        yield measure_one(consistency, compression)


def measure_one(consistency: str, compression: str) -> Row:
    """Compiles and certifies one case."""
    text = EXAMPLE.format(
        steps=STEPS,
        members=MEMBERS,
        consistency=consistency,
        compression=compression,
    )
    scheme, _ = load_text(text)
    program = diamond.compile(scheme)
    program.certify()
    dense = 2 * (MEMBERS - 1) / MEMBERS * 4 * program.plan.parameters
    [sent] = program.plan.wire_bytes().values()
    return Row(consistency, compression, sent, dense / sent)
