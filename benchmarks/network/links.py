"""Hosts as network namespaces, a switch between them, and the links' rate.

    host0 --eth0 ===== port0--+
    host1 --eth0 ===== port1--+-- bridge, in a namespace of its own
    ...

The machine's own network is not touched: each link (a veth pair) is made with one end
in a host and the other in the switch, and there is no way out. A link has its rate in
both directions, as a token bucket where a frame leaves a host and where it leaves the
switch.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.network import names
from benchmarks.network.counters import LINK, Traffic, queued
from benchmarks.network.signals import deaf, heeding

BUCKET = ("burst", "64kb", "latency", "2s")
# More than a machine can hand over, so that a link without a rate counts bytes as well.
NO_LIMIT = ("rate", "100gbit", "burst", "16mb", "limit", "64mb")
TOOLS = ("ip", "tc", "unshare", "hostname")
MOST_HOSTS = 250
PAUSE = 0.02


class NetworkError(RuntimeError):
    """A network that cannot be made, and why, in one line."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host of a network.

    Attributes:
        rank: Its number, from 0.
        name: Its hostname, which every host can look up.
        address: Its address.
        space: The name of its network namespace.
    """

    rank: int
    name: str
    address: str
    space: str

    def inside(self, *command: str) -> tuple[str, ...]:
        """Returns a command that runs another one on this host."""
        rename = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"')
        return ("ip", "netns", "exec", self.space, *rename, self.name, *command)

    def traffic(self) -> Traffic:
        """Returns what the host's link has carried so far."""
        switch, port = names.switch_of(self.space), f"port{self.rank}"
        return Traffic(queued(self.space, LINK), queued(switch, port))


@dataclass(frozen=True, slots=True)
class Network:
    """Hosts that reach each other over links, and nothing else.

    Attributes:
        name: What everything of it is named after.
        hosts: The hosts, by rank.
    """

    name: str
    hosts: tuple[Host, ...]

    def shape(self, rate: str | None) -> None:
        """Gives each link a rate in both directions.

        Args:
            rate: As `tc` writes it, such as `10mbit`; None for as fast as it goes.

        Raises:
            NetworkError: If `tc` refuses the rate.
        """
        limit = NO_LIMIT if rate is None else ("rate", rate, *BUCKET)
        switch = names.switch_space(self.name)
        for host in self.hosts:
            for space, device in ((host.space, LINK), (switch, f"port{host.rank}")):
                queue = ("dev", device, "root", "tbf", *limit)
                _run("tc", "-n", space, "qdisc", "replace", *queue)


@contextlib.contextmanager
def opened(hosts: int, rate: str | None = None) -> Iterator[Network]:
    """Makes a network, and takes it down again whatever happens.

    SIGTERM and SIGHUP end the block as an exception does; while the network is taken
    down no signal is heeded. Processes that still run on the hosts are killed.

    Args:
        hosts: How many.
        rate: See `Network.shape`.

    Raises:
        NetworkError: If this machine, or this user, cannot have one.

    Example:
        with opened(hosts=2, rate="10mbit") as network:
            subprocess.run(network.hosts[0].inside("ping", "-c", "1", "host1"))
    """
    check_able()
    if not 1 <= hosts <= MOST_HOSTS:
        raise NetworkError(f"a network has 1 to {MOST_HOSTS} hosts, not {hosts}")
    network = _network(names.new_name(), hosts)
    with heeding(signal.SIGTERM, signal.SIGHUP), names.held(network.name):
        try:
            _build(network)
            network.shape(rate)
            yield network
        finally:
            with deaf(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                remove(network.name)


def check_able() -> None:
    """Holds that networks can be made here.

    Raises:
        NetworkError: If they cannot.
    """
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking:
        raise NetworkError(f"a network needs the commands {', '.join(lacking)}")
    if os.geteuid():
        raise NetworkError("a network of namespaces needs root: run this with sudo")


def _network(name: str, count: int) -> Network:
    return Network(
        name,
        tuple(
            Host(
                rank, f"host{rank}", f"10.77.0.{rank + 1}", names.host_space(name, rank)
            )
            for rank in range(count)
        ),
    )


def _build(network: Network) -> None:
    switch = names.switch_space(network.name)
    _run("ip", "netns", "add", switch)
    quiet_bridge = ("type", "bridge", "mcast_snooping", "0")
    _run("ip", "-n", switch, "link", "add", "bridge", *quiet_bridge)
    _set(switch, "bridge", "addrgenmode", "none")
    for host in network.hosts:
        _write_hosts(network, host)
        _run("ip", "netns", "add", host.space)
        _connect(host, switch)
    _set(switch, "bridge", "up")


def _connect(host: Host, switch: str) -> None:
    port = f"port{host.rank}"
    ends = (LINK, "netns", host.space, "type", "veth", "peer", port, "netns", switch)
    _run("ip", "link", "add", *ends)
    for space, device in ((host.space, LINK), (switch, port)):
        _set(space, device, "addrgenmode", "none")  # no frames of the system's own
    _set(switch, port, "master", "bridge", "up")
    address = ("addr", "add", f"{host.address}/24", "dev", LINK)
    _run("ip", "-n", host.space, *address)
    _set(host.space, LINK, "up")
    _set(host.space, "lo", "up")


def _set(space: str, device: str, *words: str) -> None:
    _run("ip", "-n", space, "link", "set", "dev", device, *words)


def _write_hosts(network: Network, host: Host) -> None:
    """Writes what the host sees as `/etc/hosts`.

    Its own name stands for its address on the link: gloo listens where it points.
    """
    lines = [f"{each.address} {each.name}\n" for each in network.hosts]
    folder = names.FOLDER / host.space
    folder.mkdir()
    (folder / "hosts").write_text("".join(["127.0.0.1 localhost\n", *lines]))


def remove(name: str) -> None:
    """Takes a network down, or what there is of it: a link goes with its ends."""
    for space in spaces():
        if space.partition(".")[0] == name:
            _empty(space)
            _run("ip", "netns", "delete", space)
    for folder in names.FOLDER.glob(f"{name}.*"):
        shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # others' folders may be in it
        names.FOLDER.rmdir()


def _empty(space: str) -> None:
    """Kills a namespace's processes, and those that they have made meanwhile."""
    while processes := _run("ip", "netns", "pids", space).split():
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        time.sleep(PAUSE)


def spaces() -> list[str]:
    """Returns the names of all namespaces of the machine."""
    return [each["name"] for each in json.loads(_run("ip", "-j", "netns") or "[]")]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip() or f"exit {done.returncode}"
        raise NetworkError(f"{' '.join(command)}: {reason}")
    return done.stdout
