"""An exchange alone refuses what the language refuses over one axis, and says why."""

from functools import partial

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from diamond import exchange
from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.load import load_text
from diamond.dsl.vocabulary import (
    AUTO,
    AllReduce,
    Cast,
    Dgc,
    Gradiveq,
    Int4,
    Int8,
    Nesterov,
    NoCompression,
    OneBit,
    PowerSgd,
    Qsgd,
    RandomK,
    Scheduled,
    Sign,
    Ternary,
    TopK,
)
from tests.compiler.exchange.members import AXIS, over_members

CODECS = {
    "none": NoCompression(),
    "cast": Cast(),
    "int8": Int8(),
    "int8(feedback = false)": Int8(feedback=False),
    "int4(feedback = false)": Int4(feedback=False),
    "qsgd": Qsgd(),
    "ternary": Ternary(),
    "sign": Sign(),
    "sign(feedback = false)": Sign(feedback=False),
    "onebit": OneBit(),
    "topk": TopK(),
    "randomk": RandomK(),
    "dgc": Dgc(),
    "powersgd": PowerSgd(),
    "gradiveq": Gradiveq(),
    "gradiveq(slice = 8, keep = 9)": Gradiveq(slice=8, keep=9),
}
JOINED = [
    ("reduce", "mean"),
    ("reduce", "adasum"),
    ("reduce", "majority"),
    ("algorithm", "ring"),
    ("algorithm", "tree"),
    ("algorithm", "two_phase"),
]


def _gossip(rule, arguments, **given):
    clauses = f"{rule}\n centralization = gossip({arguments})"
    return clauses, partial(exchange.gossip, **given)


def _joined(rule, function, argument, word):
    clauses = f"{rule}\n centralization = allreduce({argument} = {word})"
    return clauses, partial(function, centralization=AllReduce(**{argument: word}))


RULES = {
    "pipelined": exchange.pipelined,
    "stale_synchronous": exchange.stale_synchronous,
    "asynchronous": exchange.asynchronous,
    "hogwild": exchange.hogwild,
    "elastic": exchange.elastic,
    **dict(
        [
            _gossip("synchronous", "topology = ring", topology="ring"),
            _gossip("synchronous", "topology = chain", topology="chain"),
            _gossip("local(every = 2)", "topology = ring", topology="ring", every=2),
            *(_joined("synchronous", exchange.synchronous, *one) for one in JOINED),
            *(
                _joined("local(every = 2)", partial(exchange.local, every=2), *one)
                for one in JOINED
            ),
        ]
    ),
}


def _codes_in_the_language(rule, codec):
    clauses = f"consistency = {rule}\n compression = {codec}"
    try:
        load_text(f"mesh {{ host = 2 }}\nreplicas over host {{\n {clauses}\n}}")
    except SchemeError as error:
        found = error.diagnostics
        return sorted(one.code for one in found if one.severity == "error")
    return []


def _codes_alone(rule, codec):
    try:
        RULES[rule](AXIS, compression=CODECS[codec])
    except ValueError as error:
        return sorted(line[:4] for line in str(error).splitlines())
    return []


@pytest.mark.parametrize("rule", RULES)
def test_an_exchange_refuses_what_the_language_refuses(rule) -> None:
    expected = {codec: _codes_in_the_language(rule, codec) for codec in CODECS}
    if not expected["onebit"]:
        expected["onebit"] = ["`one"]  # it needs the optimizer, see below
    assert {codec: _codes_alone(rule, codec) for codec in CODECS} == expected


def test_a_refusal_has_the_code_the_reason_and_the_way_out() -> None:
    with pytest.raises(
        ValueError, match=r"^D056: `dgc` over `host` does not go with `local`: .*; take"
    ):
        exchange.local(AXIS, every=4, compression=Dgc())
    with pytest.raises(ValueError, match=r"^D055: `sign` .* `gossip`: .*; expected "):
        exchange.gossip(AXIS, compression=Sign())
    with pytest.raises(ValueError, match=r"^D034: "):
        exchange.synchronous(AXIS, compression=AUTO)


def test_a_size_that_does_not_fit_is_refused_as_soon_as_it_is_known() -> None:
    with pytest.raises(ValueError, match=r"^D057: `topology = hypercube` .* 3 members"):
        exchange.gossip(AXIS, topology="hypercube", size=3)
    made = exchange.gossip(AXIS, topology="hypercube")

    def run(wire, leaf):
        return made.update(leaf, made.init(leaf))[0]

    with pytest.raises(ValueError, match=r"^D057: `topology = hypercube` .* 3 members"):
        over_members(run, np.ones((3, 3), np.float32))


def test_onebit_needs_the_optimizer_itself() -> None:
    with pytest.raises(ValueError, match=r"inside Adam: .* scheme instead, or give"):
        exchange.synchronous(AXIS, compression=OneBit())


@pytest.mark.parametrize(
    ("codec", "told"),
    [
        (PowerSgd(start=10), r"`powersgd\(start = 10\)` changes .* give `start=0`"),
        (Dgc(warmup=8), r"`dgc\(warmup = 8\)` changes over .* give `warmup=0`"),
        (Scheduled(((Cast(), 5), (Int8(), None))), "a schedule changes over"),
    ],
)
def test_what_changes_over_the_steps_is_not_ignored(codec, told) -> None:
    with pytest.raises(ValueError, match=told):
        exchange.synchronous(AXIS, compression=codec)


@pytest.mark.parametrize("name", ["fragments", "delay", "merge", "state"])
def test_what_a_scheme_s_local_takes_besides_is_named(name) -> None:
    with pytest.raises(TypeError, match=rf"`{name}` needs .*`diamond\.compile` with"):
        exchange.local(AXIS, every=6, outer=Nesterov(), **{name: 2})
    with pytest.raises(TypeError, match="unexpected keyword argument `evry`"):
        exchange.local(AXIS, every=6, evry=2)


@pytest.mark.parametrize("given", ["norm/*", ["norm/*"]])
def test_patterns_that_are_no_tuple_are_written_out(given) -> None:
    with pytest.raises(TypeError, match=r"write `exclude=\('norm/\*',\)`"):
        exchange.synchronous(AXIS, compression=Int8(exclude=given))


def _run_over(mesh, axis, **manual):
    made = exchange.synchronous(axis)
    spec = PartitionSpec(mesh.axis_names[0])

    def body(leaf):
        return made.update(leaf, made.init(leaf))[0]

    run = jax.shard_map(
        body, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False, **manual
    )
    return jax.jit(run)(np.ones(8, np.float32))


def test_an_axis_that_is_not_there_is_told_with_those_that_are() -> None:
    mesh = Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("site", "chip"))
    with pytest.raises(ValueError, match=r"no axis `host` .* are `site` and `chip`"):
        _run_over(mesh, "host")
    with pytest.raises(ValueError, match=r"`site` and `chip`; did you mean `chip`\?"):
        _run_over(mesh, "chips")
    with pytest.raises(
        ValueError, match=r"the mesh has it, .* name it in `axis_names`"
    ):
        _run_over(mesh, "chip", axis_names={"site"})
    with pytest.raises(ValueError, match=r"is used inside `jax\.shard_map`"):
        exchange.synchronous("chip").init(np.ones(3))


def test_an_exchange_is_over_one_axis() -> None:
    with pytest.raises(TypeError, match="make an exchange for each axis"):
        exchange.synchronous(("site", "chip"))


def test_names_of_axes_that_only_jax_takes_are_taken() -> None:
    mesh = Mesh(np.array(jax.devices()[:2]), ("data-parallel",))
    assert (_run_over(mesh, "data-parallel") == 1).all()
    with pytest.raises(ValueError, match=r"^D056: "):
        exchange.elastic("link", compression=Dgc())
