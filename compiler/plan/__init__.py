"""The plan: the compiler's intermediate representation, whole.

A plan says what one step of a scheme is: the mesh, the tensors, and the exchanges in
the order in which they happen, with the messages that each one sends, the memory that
a device needs and the equations. It prints to stable text and reads back
(`plan_text`). Passes fill it in, one after another.

    plan       = axes tensors flows agreements exchanges memory equations
    flow       = what a model that is cut up over an axis sends by itself
    agreement  = what the copies over one axis do from one step to another
    exchange   = an agreement with its place in the step, its route and its messages
    message    = one collective of a device: kind, element type, elements
"""

from diamond.compiler.plan.exchanges import LANDING as LANDING
from diamond.compiler.plan.exchanges import Agreement as Agreement
from diamond.compiler.plan.exchanges import Exchange as Exchange
from diamond.compiler.plan.exchanges import Route as Route
from diamond.compiler.plan.exchanges import Subject as Subject
from diamond.compiler.plan.exchanges import is_tight as is_tight
from diamond.compiler.plan.mesh import MeshAxis as MeshAxis
from diamond.compiler.plan.mesh import TensorSpec as TensorSpec
from diamond.compiler.plan.mesh import local_tensor as local_tensor
from diamond.compiler.plan.messages import ITEM_BYTES as ITEM_BYTES
from diamond.compiler.plan.messages import Flow as Flow
from diamond.compiler.plan.messages import Kind as Kind
from diamond.compiler.plan.messages import Message as Message
from diamond.compiler.plan.messages import Pairs as Pairs
from diamond.compiler.plan.messages import busiest as busiest
from diamond.compiler.plan.whole import TEMPORARIES as TEMPORARIES
from diamond.compiler.plan.whole import Holding as Holding
from diamond.compiler.plan.whole import Plan as Plan
