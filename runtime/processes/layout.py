"""Which devices of the mesh belong to which process.

Devices are numbered process by process, and the mesh is filled with them in that
order, its innermost axis fastest. So the outermost axes run over processes, and a
process holds a block: whole inner axes, and equal parts of one axis outside them.
"""

import math
from collections.abc import Sequence

from diamond.dsl.vocabulary.scheme import Axis
from diamond.runtime.failures import EnvironmentProblem


def devices_of_process(mesh: Sequence[Axis], processes: int) -> int:
    """Returns how many devices of a mesh each process has.

    Args:
        mesh: The axes, outermost first.
        processes: The number of processes.

    Raises:
        EnvironmentProblem: If the processes do not divide the outermost axes.

    Example:
        >>> devices_of_process((Axis("site", 2), Axis("chip", 4)), 4)
        2
    """
    if not _divides(mesh, processes):
        raise EnvironmentProblem(_refusal(mesh, processes))
    return math.prod(axis.size for axis in mesh) // processes


def _divides(mesh: Sequence[Axis], processes: int) -> bool:
    """Takes processes away from the outermost axes until none are left."""
    left = processes
    for axis in mesh:
        shared = math.gcd(left, axis.size)
        left //= shared
        if shared < axis.size:
            break
    return left == 1


def _refusal(mesh: Sequence[Axis], processes: int) -> str:
    axes = "; ".join(f"{axis.name} = {axis.size}" for axis in mesh)
    total = math.prod(axis.size for axis in mesh)
    fitting = [n for n in range(1, total + 1) if _divides(mesh, n)]
    head = f"{processes} processes cannot share `mesh {{ {axes} }}`"
    if not mesh:
        return f"{processes} processes, but there is no mesh: it runs in one process"
    return (
        f"{head}: they take the outermost axes first, each an equal part; "
        f"take {_either(fitting)} {'process' if fitting == [1] else 'processes'}"
    )


def _either(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last}" if most else last
