"""`parameter_server(shards, backup)`: shards of a server average what is pushed.

    mean = sum_i C(v_i + e_i) (1/N)

What members push is encoded once, each leaf with lots of its own; the server averages
it in the order of the members and hands the parameters back as they are. Who owns which
shard changes no value, and neither does their number.

With `backup = b` the b members that are slowest are waited for at no step: with r_i
random bits of the axis, of the count of exchanges and of the member,

    v_i <- 0                    for the b members with the largest r_i
    v_i <- v_i (N (1/(N - b)))  for the others

and of members with the same r_i the one with the higher number is the slower.

Limits: with `none` or gathered values and b = 0 it is `allreduce`.

Chen, Pan, Monga, Bengio and Jozefowicz, "Revisiting distributed synchronous SGD",
arXiv 1604.00981, 2016.
"""

from typing import Any

from diamond.dsl.vocabulary import NoCompression, ParameterServer, Term
from diamond.runtime.engines.reference import compression, noise
from diamond.runtime.engines.reference.meeting import (
    Leaves,
    Meeting,
    average,
    average_decoded,
)
from diamond.runtime.engines.reference.noise import Use


def mean(
    who: ParameterServer,
    form: Term,
    values: list[Leaves],
    states: list[Any],
    meeting: Meeting,
) -> tuple[Leaves, list[Any]]:
    """Returns the mean that the shards hold, and what the codec remembers."""
    late = late_members(who.backup, len(values), meeting)
    weight = len(values) * (1 / (len(values) - who.backup))
    if late:
        values = [
            [leaf * (0 if i in late else weight) for leaf in leaves]
            for i, leaves in enumerate(values)
        ]
    arrived, states = compression.push(form, values, states, meeting, by_leaf=True)
    how = average if isinstance(form, NoCompression) else average_decoded
    return [how(column) for column in zip(*arrived, strict=True)], states


def late_members(backup: int, num: int, meeting: Meeting) -> set[int]:
    """Returns the members that are not waited for.

    Example:
        >>> len(late_members(2, 5, Meeting("host", (), 0)))
        2
    """
    seed = meeting.seed_of(Use.LATENESS)
    lots = [int(noise.bits(seed, meeting.count, i, 1)[0]) for i in range(num)]
    slowest = sorted(range(num), key=lambda i: (lots[i], i), reverse=True)
    return set(slowest[:backup])
