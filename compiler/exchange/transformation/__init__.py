"""Exchanges as optax transformations, for training loops that Diamond did not write."""

from diamond.compiler.exchange.transformation.gradients import (
    asynchronous as asynchronous,
)
from diamond.compiler.exchange.transformation.gradients import hogwild as hogwild
from diamond.compiler.exchange.transformation.gradients import pipelined as pipelined
from diamond.compiler.exchange.transformation.gradients import (
    stale_synchronous as stale_synchronous,
)
from diamond.compiler.exchange.transformation.gradients import (
    synchronous as synchronous,
)
from diamond.compiler.exchange.transformation.parameters import elastic as elastic
from diamond.compiler.exchange.transformation.parameters import gossip as gossip
from diamond.compiler.exchange.transformation.parameters import local as local
from diamond.compiler.exchange.transformation.transform import (
    ExchangeState as ExchangeState,
)
from diamond.compiler.exchange.transformation.transform import (
    LookingBack as LookingBack,
)
