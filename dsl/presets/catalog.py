"""The presets that ship with Diamond: one row a file beside this one."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from diamond.dsl import syntax
from diamond.dsl.parser import parse
from diamond.dsl.source import Source


@dataclass(frozen=True, slots=True)
class Preset:
    """A known algorithm: its name, and one line for the reference page."""

    name: str
    doc: str


PRESETS = (
    Preset("ddp", "gradients are averaged at every step"),
    Preset("fedavg", "copies train alone and are averaged now and then"),
    Preset("post_local_sgd", "averaged gradients first, then local SGD"),
    Preset("diloco", "rare meetings with an outer Nesterov step"),
    Preset("streaming_diloco", "DiLoCo in fragments, late, merged, in 4 bits"),
    Preset("easgd", "copies and a centre pull at each other"),
    Preset("sgp", "gossip of parameters with push-sum weights"),
    Preset("pipe_sgd", "averaged gradients, applied a step later"),
    Preset("async_ps", "stale gradients at a sharded parameter server"),
    Preset("powersgd", "gradients as factors of low rank"),
    Preset("deep_gradient_compression", "one gradient value in a thousand crosses"),
    Preset("onebit_adam", "Adam whose momentum crosses as signs"),
)


@cache
def block_of(name: str) -> syntax.Block | None:
    """Returns the `replicas` block of a preset, if there is one of this name.

    Example:
        >>> block_of("diloco").statements[0].name.text
        'consistency'
    """
    if all(preset.name != name for preset in PRESETS):
        return None
    path = files("diamond.dsl.presets").joinpath(f"{name}.diamond")
    file, problems = parse(Source(f"{name}.diamond", path.read_text(encoding="utf-8")))
    assert file is not None and not problems, problems
    [block] = file.items
    assert isinstance(block, syntax.Block)
    return block
