"""Errors that say that other processes are gone, told as such."""

import sys

from diamond.runtime.failures import EnvironmentProblem, Failure, PeersLost

# How JAX's coordination service, gloo and Orbax speak of it.
SIGNS = (
    "coordination service",
    "CoordinationService",
    "[Gloo]",
    "Gloo ",
    "heartbeat timeout",
    "barrier",
    "Connection closed by peer",
    "Connection reset by peer",
    "Socket closed",
)


# gloo has found no way to the others in the first place.
UNREACHED = "Gloo context initialization failed"


def as_loss(error: BaseException) -> Failure | None:
    """Returns what is told where one of several processes fails for want of another.

    Example:
        >>> as_loss(RuntimeError("Socket closed"))  # of one process by itself
    """
    if "diamond.runtime.processes.join" not in sys.modules:
        return None
    text = str(error)
    first = next(iter(text.strip().splitlines()), type(error).__name__)
    if UNREACHED in text:
        return EnvironmentProblem(
            "the processes do not reach each other: name the network interface to use "
            f"with --interface NAME ({first})"
        )
    if any(sign in text for sign in SIGNS):
        return PeersLost(f"another process is gone: {first}")
    return None
