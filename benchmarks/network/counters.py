"""Bytes that crossed a link, as the queue at its start counted them.

They are all that a wire would carry: payload, headers, acknowledgements and what was
sent twice. The interface's own counter would not do: a system hands its card segments
of up to 64 KiB with one header, which the card cuts into frames with a header each, and
the queue, unlike the interface, counts those.
"""

import json
import subprocess
from typing import NamedTuple

LINK = "eth0"


class Traffic(NamedTuple):
    """What a host's link carried.

    Attributes:
        sent: Bytes that the host sent.
        received: Bytes that were sent to it.

    Example:
        >>> Traffic(5, 7) - Traffic(2, 3)
        Traffic(sent=3, received=4)
    """

    sent: int
    received: int

    def __sub__(self, before: "Traffic") -> "Traffic":
        return Traffic(self.sent - before.sent, self.received - before.received)


def queued(space: str, device: str) -> int:
    """Returns the bytes that a namespace has sent through a device."""
    return _queued("tc", "-n", space, device=device)


def sent() -> int:
    """Returns the bytes that the host that runs this has sent over its link.

    Raises:
        subprocess.CalledProcessError: If this process runs on no host of a network.
    """
    return _queued("tc", device=LINK)


def _queued(*tc: str, device: str) -> int:
    command = (*tc, "-s", "-j", "qdisc", "show", "dev", device, "root")
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(json.loads(shown)[0]["bytes"])
