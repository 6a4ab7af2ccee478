"""Rules about streaming, held against what the plan does step by step."""

import itertools
import pickle

import pytest

from diamond.compiler.passes.begin import Shapes, begin
from diamond.compiler.passes.place_exchanges import place_exchanges
from diamond.compiler.plan import LANDING, Exchange, TensorSpec
from diamond.dsl.legality import Finding, Refusal, legality, of_tensors
from diamond.dsl.vocabulary import (
    AllReduce,
    ConvNet,
    Local,
    Mlp,
    NoCompression,
    Scheme,
    Synchronous,
    TopK,
    Transformer,
)
from tests.dsl.legality.laid import axes, errors, then, when

TENSORS = tuple(TensorSpec(f"layer/{i}/w", (2,), "float32") for i in range(12))


def exchanges_of(scheme: Scheme) -> list[Exchange]:
    shapes = Shapes(TENSORS, (), None, (), 0, 8, 0, None)
    placed = place_exchanges(begin(scheme, shapes)).exchanges
    return [each for each in placed if each.subject == "parameters"]


def landed_at(exchange: Exchange, steps: int) -> list[int]:
    """Returns the steps of a run at which an exchange's mean is merged."""
    turns = [(step, exchange.turn_at(step)) for step in range(steps)]
    if exchange.late:
        return [step for step, turn in turns if turn == LANDING]
    return [step for step, turn in turns if turn is not None]


STREAMS = [
    (Local(every=every, fragments=parts, delay=delay, merge=merge), first)
    for every, parts, delay, merge, first in itertools.product(
        (4, 6), (1, 2, 3), (0, 1), (0.0, 0.5), (0, 3)
    )
    if every % parts == 0
    and delay < every // parts
    and (parts, delay, merge) != (1, 0, 0)
]


def streamed(rule: Local, first: int, steps: int) -> Scheme:
    return axes(
        when(then(Synchronous(), first, rule) if first else rule), size=2, steps=steps
    )


@pytest.mark.parametrize(("rule", "first"), STREAMS)
def test_the_end_of_a_run_is_judged_as_the_plan_does_it(
    rule: Local, first: int
) -> None:
    for steps in range(first + 1, first + 20):
        scheme = streamed(rule, first, steps)
        found = [one.code for one in legality(scheme)]
        landings = [landed_at(each, steps) for each in exchanges_of(scheme)]
        if not all(landings):
            assert found == ["D062"]
        elif max(map(max, landings)) < steps - 1:
            assert found == ["D063"]
        else:
            assert found == []


def the(code: str, scheme: Scheme) -> Finding:
    [finding] = [one for one in legality(scheme) if one.code == code]
    return finding


@pytest.mark.parametrize("steps", [1000, 1001, 1004, 1006, 1024])
def test_the_steps_that_are_advised_are_good(steps: int) -> None:
    rule = Local(every=100, fragments=4, delay=5)
    finding = the("D063", streamed(rule, 0, steps))
    assert finding.expected is not None
    for advised in finding.expected.replace("`", "").split(" or "):
        assert legality(streamed(rule, 0, int(advised.removeprefix("steps = ")))) == ()


def test_what_is_on_its_way_at_the_end_is_named() -> None:
    rule = Local(every=100, fragments=4, delay=5)
    message = the("D063", streamed(rule, 0, 1000)).message
    assert "fragment 4 of 4 is sent at step 999 and would land 5 steps later" in message
    assert "fragment 1 of 4 is sent at step 924" in (
        the("D063", streamed(rule, 0, 925)).message
    )
    assert "the last 2 of 932 steps" in the("D063", streamed(rule, 0, 932)).message


def test_fragments_whose_turn_never_comes_are_counted() -> None:
    rule = Local(every=100, fragments=4, delay=5)
    assert the("D062", streamed(rule, 0, 60)).message.startswith(
        "2 of 4 fragments of the model never meet"
    )
    assert the("D062", streamed(rule, 0, 29)).message.startswith("the copies over")


MODELS = [
    (Mlp(layers=3), 4),
    (Mlp(layers=0), 1),
    (ConvNet(stages=2), 4),
    (Transformer(layers=2), 5),
    (Transformer(layers=2, positions="learned"), 6),
]


@pytest.mark.parametrize(("model", "layers"), MODELS)
def test_a_model_has_a_layer_for_each_fragment(model: object, layers: int) -> None:
    def scheme(fragments: int) -> Scheme:
        rule = Local(every=60 * fragments, fragments=fragments)
        laid = axes(when(rule), size=2)
        return Scheme(
            laid.name, model, None, laid.train, laid.mesh, (), (), laid.replicas
        )  # type: ignore[arg-type]

    assert errors(scheme(layers)) == []
    finding = the("D087", scheme(layers + 1))
    assert finding.path == ("replicas", "a", "consistency", "fragments")
    assert finding.labels[0][0][0] == "model"
    assert f"write `fragments = {layers}`" in str(finding.help)


def test_the_number_that_is_advised_divides_the_period() -> None:
    laid = axes(when(Local(every=50, fragments=10)), size=2)
    scheme = Scheme(
        "a", Mlp(layers=6), None, laid.train, laid.mesh, (), (), laid.replicas
    )
    assert "write `fragments = 5`" in str(the("D087", scheme).help)


def test_layers_of_a_model_from_python_are_counted_by_its_tensors() -> None:
    scheme = axes(when(Local(every=60, fragments=3)), size=2)
    paths = ["embed", "blocks/0/w", "blocks/0/b", "blocks/1/w"]
    assert list(of_tensors(scheme, paths)) == []
    [finding] = of_tensors(scheme, paths[:3])
    assert finding.code == "D087"
    assert "`embed` and `blocks/0`" in str(finding.help)


def test_a_pattern_that_matches_nothing_names_what_is_near() -> None:
    codec = then(NoCompression(), 9, TopK(exclude=("*/b", "hed/*")))
    scheme = axes({"compression": codec, "centralization": AllReduce()}, size=2)
    paths = [f"hidden/{i}/w" for i in range(9)] + ["head/w", "head/b"]
    [finding] = of_tensors(scheme, paths)
    assert finding.code == "D088"
    assert finding.path == ("replicas", "a", "compression", "1", "exclude", "1")
    assert str(finding.help).startswith("names are `head/")
    assert str(finding.help).endswith("6 more")
    assert list(of_tensors(scheme, ["head/b", "hed/w"])) == []


def test_a_refusal_says_what_to_do_and_survives_pickling() -> None:
    scheme = axes(when(Local(every=60, fragments=3)), size=2)
    refusal = Refusal(tuple(of_tensors(scheme, ["embed", "head"])))
    assert str(refusal).startswith("D087 `fragments = 3` over `a`, but the model has 2")
    assert "; write `fragments = 2`; its layers are `embed` and `head`" in str(refusal)
    again = pickle.loads(pickle.dumps(refusal))
    assert again.findings == refusal.findings
    assert [one.code for one in again.diagnostics] == ["D087"]
