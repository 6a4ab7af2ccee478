"""Checkpoints: whole or not at all, and held against their digests."""

from diamond.runtime.checkpoints.leaves import abstract as abstract
from diamond.runtime.checkpoints.lock import RunLock as RunLock
from diamond.runtime.checkpoints.manifest import Damaged as Damaged
from diamond.runtime.checkpoints.store import CheckpointStore as CheckpointStore
