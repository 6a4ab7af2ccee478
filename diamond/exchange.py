"""Exchanges as optax transformations: the distributed half that optax lacks."""

from diamond.compiler.exchange.transformation import ExchangeState as ExchangeState
from diamond.compiler.exchange.transformation import LookingBack as LookingBack
from diamond.compiler.exchange.transformation import asynchronous as asynchronous
from diamond.compiler.exchange.transformation import elastic as elastic
from diamond.compiler.exchange.transformation import gossip as gossip
from diamond.compiler.exchange.transformation import hogwild as hogwild
from diamond.compiler.exchange.transformation import local as local
from diamond.compiler.exchange.transformation import pipelined as pipelined
from diamond.compiler.exchange.transformation import (
    stale_synchronous as stale_synchronous,
)
from diamond.compiler.exchange.transformation import synchronous as synchronous
