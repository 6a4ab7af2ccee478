"""A compiler for training schemes: declare how copies agree, axis by axis, and train.

`import diamond` is light: jax is imported by what needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from diamond.dsl.diagnostics import Diagnostic as Diagnostic
from diamond.dsl.diagnostics import SchemeError as SchemeError
from diamond.dsl.vocabulary import AUTO as AUTO
from diamond.dsl.vocabulary import AllReduce as AllReduce
from diamond.dsl.vocabulary import Arrays as Arrays
from diamond.dsl.vocabulary import Asynchronous as Asynchronous
from diamond.dsl.vocabulary import Average as Average
from diamond.dsl.vocabulary import Axis as Axis
from diamond.dsl.vocabulary import Bmuf as Bmuf
from diamond.dsl.vocabulary import Call as Call
from diamond.dsl.vocabulary import Cast as Cast
from diamond.dsl.vocabulary import ConvNet as ConvNet
from diamond.dsl.vocabulary import CrossEntropy as CrossEntropy
from diamond.dsl.vocabulary import Delays as Delays
from diamond.dsl.vocabulary import Dgc as Dgc
from diamond.dsl.vocabulary import Digits as Digits
from diamond.dsl.vocabulary import Distill as Distill
from diamond.dsl.vocabulary import Elastic as Elastic
from diamond.dsl.vocabulary import Ensemble as Ensemble
from diamond.dsl.vocabulary import Expert as Expert
from diamond.dsl.vocabulary import Features as Features
from diamond.dsl.vocabulary import Gossip as Gossip
from diamond.dsl.vocabulary import Gradiveq as Gradiveq
from diamond.dsl.vocabulary import Hogwild as Hogwild
from diamond.dsl.vocabulary import Int4 as Int4
from diamond.dsl.vocabulary import Int8 as Int8
from diamond.dsl.vocabulary import Link as Link
from diamond.dsl.vocabulary import Local as Local
from diamond.dsl.vocabulary import MeanSquaredError as MeanSquaredError
from diamond.dsl.vocabulary import Mlp as Mlp
from diamond.dsl.vocabulary import Nesterov as Nesterov
from diamond.dsl.vocabulary import NoCompression as NoCompression
from diamond.dsl.vocabulary import OneBit as OneBit
from diamond.dsl.vocabulary import Parallel as Parallel
from diamond.dsl.vocabulary import ParameterServer as ParameterServer
from diamond.dsl.vocabulary import Pipeline as Pipeline
from diamond.dsl.vocabulary import Pipelined as Pipelined
from diamond.dsl.vocabulary import PowerSgd as PowerSgd
from diamond.dsl.vocabulary import Qsgd as Qsgd
from diamond.dsl.vocabulary import RandomK as RandomK
from diamond.dsl.vocabulary import Replicas as Replicas
from diamond.dsl.vocabulary import Scheduled as Scheduled
from diamond.dsl.vocabulary import Scheme as Scheme
from diamond.dsl.vocabulary import Sequence as Sequence
from diamond.dsl.vocabulary import Shard as Shard
from diamond.dsl.vocabulary import Sign as Sign
from diamond.dsl.vocabulary import SlowMo as SlowMo
from diamond.dsl.vocabulary import StaleSynchronous as StaleSynchronous
from diamond.dsl.vocabulary import Synchronous as Synchronous
from diamond.dsl.vocabulary import Tensor as Tensor
from diamond.dsl.vocabulary import Ternary as Ternary
from diamond.dsl.vocabulary import Text as Text
from diamond.dsl.vocabulary import TopK as TopK
from diamond.dsl.vocabulary import Train as Train
from diamond.dsl.vocabulary import Transformer as Transformer
from diamond.dsl.vocabulary import Zero as Zero

if TYPE_CHECKING:
    from diamond import exchange as exchange
    from diamond.api import compile as compile
    from diamond.api import load as load
    from diamond.api import open_data as open_data
    from diamond.api import restore as restore
    from diamond.api import run as run
    from diamond.compiler.certify import Certificate as Certificate
    from diamond.compiler.certify import CertificateError as CertificateError
    from diamond.compiler.program import Program as Program
    from diamond.compiler.state import State as State
    from diamond.dsl.distillation import student_of as student_of
    from diamond.dsl.include import preset as preset

_HIDDEN = {"TYPE_CHECKING", "Any", "importlib"}
_HEAVY = {
    "compile": "diamond.api",
    "load": "diamond.api",
    "open_data": "diamond.api",
    "restore": "diamond.api",
    "run": "diamond.api",
    "Certificate": "diamond.compiler.certify",
    "CertificateError": "diamond.compiler.certify",
    "Program": "diamond.compiler.program",
    "State": "diamond.compiler.state",
    "preset": "diamond.dsl.include",
    "student_of": "diamond.dsl.distillation",
}


def __dir__() -> list[str]:
    """Lists the public names, those that are imported late among them."""
    own = [name for name in globals() if name[0] != "_" and name not in _HIDDEN]
    return sorted({*own, *_HEAVY, "exchange"})


def __getattr__(name: str) -> Any:
    """Imports what needs jax when it is first asked for."""
    if name == "exchange":
        return importlib.import_module("diamond.exchange")
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module `diamond` has no attribute `{name}`")
