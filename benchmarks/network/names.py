"""Names of networks, and which of them are left over.

Everything that a network makes carries its name: a namespace a host, one for the
switch, and a folder in `/etc/netns` for each host. As long as its process lives it
holds a lock on one of those folders, which the system lets go of when the process
dies, however it dies. So what is named and not locked is left over.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PREFIX = "diamond-net-"
FOLDER = Path("/etc/netns")


def new_name() -> str:
    """Returns a name that no other network has."""
    return f"{PREFIX}{secrets.token_hex(4)}"


def host_space(network: str, rank: int) -> str:
    """Returns the namespace of a host."""
    return f"{network}.host{rank}"


def switch_space(network: str) -> str:
    """Returns the namespace that the links meet in."""
    return f"{network}.switch"


def switch_of(space: str) -> str:
    """Returns the namespace that a host's link leads to.

    Example:
        >>> switch_of("diamond-net-1234.host0")
        'diamond-net-1234.switch'
    """
    return switch_space(space.partition(".")[0])


@contextlib.contextmanager
def held(network: str) -> Iterator[None]:
    """Makes the network's lock and holds it."""
    folder = _lock_of(network)
    folder.mkdir(parents=True)
    lock = _locked(folder)
    assert lock is not None
    try:
        yield
    finally:
        os.close(lock)


def left_over(spaces: list[str]) -> list[str]:
    """Returns the names of networks whose process is dead.

    Args:
        spaces: All namespaces of the machine.
    """
    folders = [path.name for path in FOLDER.glob(f"{PREFIX}*")]
    ours = [name for name in (*spaces, *folders) if name.startswith(PREFIX)]
    return sorted(
        name for name in {each.partition(".")[0] for each in ours} if _is_free(name)
    )


def _is_free(network: str) -> bool:
    folder = _lock_of(network)
    if not folder.exists():
        return True
    lock = _locked(folder)
    if lock is not None:
        os.close(lock)
    return lock is not None


def _lock_of(network: str) -> Path:
    return FOLDER / switch_space(network)


def _locked(folder: Path) -> int | None:
    """Returns a descriptor that holds the folder; None where another process does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
