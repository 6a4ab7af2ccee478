"""What the members along an axis get out for what they put in.

The mean over all, or what takes its place:

`allreduce`                      the mean, however the messages travel
`allreduce(reduce = adasum)`     see `adasum`
`allreduce(reduce = majority)`   see `majority`
`parameter_server`               see `parameter_server`

`gossip` is not among them, for each member gets something else; see `gossip`.
"""

from typing import Any

from diamond.dsl.vocabulary import Gossip, ParameterServer, Sign, Term
from diamond.runtime.engines.reference import compression
from diamond.runtime.engines.reference.centralization import (
    adasum,
    majority,
    parameter_server,
)
from diamond.runtime.engines.reference.meeting import Leaves, Meeting

Mean = tuple[Leaves, list[Any]]


def start(who: Term, form: Term, like: Leaves, num: int, meeting: Meeting) -> list[Any]:
    """Returns what the codec remembers for each of the members before any exchange."""
    if isinstance(who, ParameterServer | Gossip):
        return compression.start_push(form, like, num, meeting)
    return compression.start(form, like, num, meeting)


def mean(
    who: Any, form: Term, values: list[Leaves], states: list[Any], meeting: Meeting
) -> Mean:
    """Returns what every member gets, and what the codec remembers for each.

    Example:
        >>> import numpy as np
        >>> from diamond.dsl.vocabulary import AllReduce, NoCompression
        >>> values, meeting = [[np.ones(1)], [-np.ones(1)]], Meeting("a", ("w",), 0)
        >>> mean(AllReduce(), NoCompression(), values, [None, None], meeting)[0]
        [array([0.])]
    """
    if isinstance(who, ParameterServer):
        return parameter_server.mean(who, form, values, states, meeting)
    if who.reduce == "adasum":
        return adasum.combined(values), states
    if who.reduce == "majority":
        assert isinstance(form, Sign)
        return majority.elected(form, values, meeting.paths), states
    return compression.mean(form, values, states, meeting)
