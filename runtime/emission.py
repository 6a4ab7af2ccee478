"""A program as text, in the forms it takes below the plan."""

from diamond.compiler.executables import Executables
from diamond.compiler.plan import LANDING
from diamond.compiler.program import Program
from diamond.compiler.variants import Due, variants_of


def text_of(program: Program, form: str) -> str:
    """Returns every step of a run as text, each below the names of its exchanges.

    Args:
        program: The program.
        form: `jaxpr`, `stablehlo` or `hlo`, which is what XLA has optimized.
    """
    parts = []
    for due in variants_of(program.plan):
        body = _body(program.executables, due, form).strip()
        parts.append(f"{_head(due)}\n{body}\n")
    return "\n".join(parts)


def _head(due: Due) -> str:
    names = ", ".join(map(_named, sorted(due))) or "no exchange"
    return f"// a step with {names}"


def _body(executables: Executables, due: Due, form: str) -> str:
    if form == "hlo":
        return str(executables.step(due).as_text())
    traced = executables.traced(due)
    return str(traced.jaxpr if form == "jaxpr" else traced.lower().as_text())


def _named(pair: tuple[str, int]) -> str:
    name, turn = pair
    if turn == LANDING:
        return f"{name}, landing"
    return f"{name}, turn {turn}" if turn else name
