"""A network of hosts on one machine: namespaces, shaped links, true bytes."""

from benchmarks.network.counters import Traffic as Traffic
from benchmarks.network.jobs import run_on as run_on
from benchmarks.network.jobs import started as started
from benchmarks.network.links import Host as Host
from benchmarks.network.links import Network as Network
from benchmarks.network.links import NetworkError as NetworkError
from benchmarks.network.links import opened as opened
