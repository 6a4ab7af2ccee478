"""Whether an error says that other processes are gone."""

import sys

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


def is_loss(error: BaseException) -> bool:
    """Whether one of several processes fails since another one is gone.

    Example:
        >>> is_loss(RuntimeError("Socket closed"))  # of one process by itself
        False
    """
    if "diamond.runtime.processes.join" not in sys.modules:
        return False
    text = str(error)
    return any(sign in text for sign in SIGNS)
