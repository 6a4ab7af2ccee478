"""What explain says of exchanges that are not of the whole model."""

from diamond.compiler.explain import explain
from diamond.dsl.vocabulary import Local, NoCompression, Synchronous
from tests.compiler.programs import program_of, scheme_over


def test_a_fragment_says_when_it_begins_and_what_it_holds() -> None:
    rule = Local(every=4, fragments=2)
    text = explain(program_of(scheme_over((2, rule, NoCompression()))).plan)
    assert "first at step 1; of the model: hidden/b, hidden/w" in text
    assert "first at step 3; of the model: out/b, out/w" in text


def test_a_whole_model_is_not_listed() -> None:
    plan = program_of(scheme_over((2, Synchronous(), NoCompression()))).plan
    assert "of the model" not in explain(plan)
