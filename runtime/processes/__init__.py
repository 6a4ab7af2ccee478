"""Several processes that train as one: how they find each other and agree."""

from diamond.runtime.processes.peers import ALONE as ALONE
from diamond.runtime.processes.peers import Peers as Peers
