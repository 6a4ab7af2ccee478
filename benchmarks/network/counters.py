"""Bytes that crossed a link, as its interface counted them.

They are all that the wire carried: payload, headers, acknowledgements and what was
sent twice. Segments leave a host as they would leave a real one, one frame each, so
that their headers count.
"""

from pathlib import Path
from typing import NamedTuple

LINK = "eth0"


class Traffic(NamedTuple):
    """What a host's link carried.

    Attributes:
        sent: Bytes that the host sent.
        received: Bytes that it received.

    Example:
        >>> Traffic(5, 7) - Traffic(2, 3)
        Traffic(sent=3, received=4)
    """

    sent: int
    received: int

    def __sub__(self, before: "Traffic") -> "Traffic":
        return Traffic(self.sent - before.sent, self.received - before.received)


def traffic() -> Traffic:
    """Returns what the link of the host that runs this has carried so far.

    Raises:
        FileNotFoundError: If this process runs on no host of a network.
    """
    folder = Path("/sys/class/net", LINK, "statistics")
    sent, received = (
        int((folder / name).read_text()) for name in ("tx_bytes", "rx_bytes")
    )
    return Traffic(sent, received)
