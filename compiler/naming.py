"""Naming: the dims of a caller's own model get the names that a tensor axis cuts."""

import jax

from diamond.compiler.build import tensors_of
from diamond.compiler.task import Task
from diamond.dsl.legality.finding import Refusal
from diamond.dsl.legality.laid import laid
from diamond.dsl.legality.names import Named, names_of, of_parameters
from diamond.dsl.vocabulary import Scheme, Tensor


def with_names(scheme: Scheme, task: Task) -> Task:
    """Returns a task whose dims are named by rules of the scheme, or by its module.

    Args:
        scheme: The scheme.
        task: What is trained: a model of the caller's own.

    Raises:
        SchemeError: If names and parameters do not fit, or the axis.
    """
    if not any(True for _ in laid(scheme, Tensor)):
        return task
    params = [Named(each.path, each.shape, each.dims) for each in tensors_of(task)]
    found = tuple(of_parameters(scheme, params))
    if found:
        raise Refusal(found)
    tree = jax.tree.structure(task.dims, is_leaf=lambda node: isinstance(node, tuple))
    names = [names_of(scheme, each) for each in params]
    return task._replace(dims=jax.tree.unflatten(tree, names))
