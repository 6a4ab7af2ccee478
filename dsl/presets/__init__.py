"""Presets: known algorithms as settings of `replicas over`, a file each."""

from diamond.dsl.presets.catalog import PRESETS as PRESETS
from diamond.dsl.presets.catalog import Preset as Preset
from diamond.dsl.presets.catalog import block_of as block_of
