"""Compression: what the members' mean becomes where values are encoded."""

from diamond.runtime.engines.reference.compression.tables import State as State
from diamond.runtime.engines.reference.compression.tables import mean as mean
from diamond.runtime.engines.reference.compression.tables import push as push
from diamond.runtime.engines.reference.compression.tables import start as start
from diamond.runtime.engines.reference.compression.tables import (
    start_push as start_push,
)
