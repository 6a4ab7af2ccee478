"""The parent of several processes: starts, watches, ends and starts them again."""

from diamond.runtime.supervisor.supervise import Launch as Launch
from diamond.runtime.supervisor.supervise import supervise as supervise
