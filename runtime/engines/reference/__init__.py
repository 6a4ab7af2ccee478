"""The oracle: the sequential meaning of a scheme, in plain NumPy."""

from diamond.runtime.engines.reference.engine import ReferenceEngine as ReferenceEngine
from diamond.runtime.engines.reference.state import ReferenceState as ReferenceState
