"""The built-in models, and modules as pure functions."""

from diamond.runtime.models.build import module_factory as module_factory
from diamond.runtime.models.functional import Functional as Functional
from diamond.runtime.models.functional import ModuleFactory as ModuleFactory
from diamond.runtime.models.functional import functional as functional
