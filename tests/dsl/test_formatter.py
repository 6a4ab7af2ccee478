import pytest
from hypothesis import given, settings

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.formatter import WIDTH, format_text
from diamond.dsl.parser import parse
from diamond.dsl.source import Source
from diamond.dsl.tokens import lex
from tests.dsl.trees import shape, texts

MESSY = """
# Two sites.

scheme two_sites   # named


model transformer{layers=12;width=768}
data text { files = "corpus/*.txt"
batch = 256 }
mesh{ # outermost first
  # slow

  site=2;host=2 # fast

  x=0x
}
"""


def reformat(text: str) -> str:
    return format_text(Source("test", text))


def comments_of(text: str) -> list[str]:
    tokens = lex(Source("test", text))
    return [token.rstrip() for token in tokens if token.type == "COMMENT"]


@settings(max_examples=60, deadline=None)
@given(texts())
def test_keeps_the_tree_and_the_comments_and_is_idempotent(drawn):
    text, _, comments = drawn
    before, problems = parse(Source("test", text))
    assert not problems
    assert sorted(comments_of(text)) == sorted(comments)
    once = reformat(text)
    after, problems = parse(Source("test", once))
    assert not problems
    assert shape(after) == shape(before)
    assert sorted(comments_of(once)) == sorted(comments)
    assert reformat(once) == once
    assert "\r" not in once and "\t" not in once and "\n\n\n" not in once


def test_lays_the_sketch_out():
    text = """\
# Two sites over a thin wire.
scheme two_sites

model transformer { layers = 12; width = 768; heads = 12; context = 1024 }

data text {
  files = "corpus/*.txt"
  batch = 256
}

train {
  optimizer = adamw(lr = warmup_cosine(peak = 3e-4, warmup = 200 steps), b2 = 0.95)
  loss      = cross_entropy
  steps     = 20_000
}

hardware {
  link site = 1 Gbit/s, 30 ms
  link host = 400 Gbit/s, 5 us
}

mesh { site = 2; host = 2; chip = 4 }

parallelism {
  zero(stage = 3) over host
  tensor          over chip
}

replicas over site {
  centralization = allreduce
  consistency    = synchronous for 500 steps,
    then local(every = 50, outer = nesterov(lr = 0.7, momentum = 0.9))
  compression    = int4(block = 128, feedback = true)
}
"""
    assert reformat(text) == text
    crowded = text.replace("  ", " ").replace(" = ", "=").replace(",\n", ",")
    assert reformat(crowded) == text


CASES = {
    "spaces": ("let  a=3\t# c  \r\n", "let a = 3  # c\n"),
    "blank lines": ("\n\nlet a = 1\n\n\n\nlet b = 2\n\n", "let a = 1\n\nlet b = 2\n"),
    "semicolons": ("scheme x; let a = 1;;", "scheme x\nlet a = 1\n"),
    "short block": ("mesh{a=1;b=2;}", "mesh { a = 1; b = 2 }\n"),
    "block over lines": ("mesh{a=1\n}", "mesh {\n  a = 1\n}\n"),
    "empty": ("mesh {\n\n}", "mesh { }\n"),
    "nothing": ("\n \n", ""),
    "units": ("let a = 1 Gbit / s", "let a = 1 Gbit/s\n"),
    "trailing comma": ("let a = f(x=1,)", "let a = f(x = 1)\n"),
    "call without arguments": ("let a = f( )", "let a = f()\n"),
    "empty list": ("let a = [ ]", "let a = []\n"),
    "list with a trailing comma": ('let a = ["x",1 ,]', 'let a = ["x", 1]\n'),
    "list over lines": ('let a = [\n"x",\n\n"y"]', 'let a = ["x", "y"]\n'),
    "comment in a list": (
        'let a = f(x = [ # 1\n "y", # 2\n # 3\n])',
        'let a = f(\n  x = [  # 1\n    "y",  # 2\n    # 3\n  ],\n)\n',
    ),
    "joined lines": ("let a = f(\n  x = 1,\n  y = 2\n)", "let a = f(x = 1, y = 2)\n"),
    "aligned": ("m {\naa=1\nb=2\n}", "m {\n  aa = 1\n  b  = 2\n}\n"),
    "aligned in runs": (
        "m {\naa=1\n\nb=2\nlink c=3\ndd=4\n}",
        "m {\n  aa = 1\n\n  b = 2\n  link c = 3\n  dd = 4\n}\n",
    ),
    "aligned across a comment": (
        "m {\naa=1\n# c\nb=2\n}",
        "m {\n  aa = 1\n  # c\n  b  = 2\n}\n",
    ),
    "aligned in runs after a comment": (
        "m {\naa=1 # c\n\nb=2\n}",
        "m {\n  aa = 1  # c\n\n  b = 2\n}\n",
    ),
    "comment on the brace": ("m { # c\n  a=1 }", "m {  # c\n  a = 1\n}\n"),
    "comment in an empty block": ("m {\n# c\n}", "m {\n  # c\n}\n"),
    "comment in a call": (
        "let a = f( # 1\n x = 1, # 2\n # 3\n y = 2 # 4\n # 5\n) # 6",
        "let a = f(  # 1\n  x = 1,  # 2\n  # 3\n  y = 2,  # 4\n  # 5\n)  # 6\n",
    ),
    "comment within an argument": (
        "let a = f(x = # 1\n 1)",
        "let a = f(\n  # 1\n  x = 1,\n)\n",
    ),
    "comment within a schedule": (
        "m {\nx = a for 3 steps, # 1\n then b }",
        "m {\n  # 1\n  x = a for 3 steps, then b\n}\n",
    ),
    "comment within a link": (
        "m {\nlink x = 1, # 1\n 2 # 2\n}",
        "m {\n  # 1\n  link x = 1, 2  # 2\n}\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_lays_out(name):
    text, expected = CASES[name]
    assert reformat(text) == expected
    assert reformat(expected) == expected


def test_breaks_what_is_too_long():
    long = ", ".join(f"argument_{i} = {i}" for i in range(9))
    once = reformat(f"m {{ x = f({long}); tensor(a = g({long})) over y }}")
    assert once.startswith("m {\n  x = f(\n    argument_0 = 0,\n")
    assert "\n  tensor(\n    a = g(\n      argument_0 = 0,\n" in once
    assert once.endswith("\n    ),\n  ) over y\n}\n")
    assert all(len(line) <= WIDTH for line in once.splitlines())
    assert reformat(once) == once


def test_breaks_a_list_that_is_too_long():
    long = ", ".join(f'"layer_{i}/weights"' for i in range(9))
    once = reformat(f"m {{ x = [{long}] }}")
    assert once.startswith('m {\n  x = [\n    "layer_0/weights",\n')
    assert once.endswith('    "layer_8/weights",\n  ]\n}\n')
    assert reformat(once) == once


def test_a_long_key_does_not_push_the_others():
    key = "k" * 33
    assert f"\n  y = 1\n  {key} = 2\n" in reformat(f"m {{\ny=1\n{key}=2\n}}")


def test_refuses_syntax_errors():
    with pytest.raises(SchemeError) as caught:
        reformat(MESSY)
    assert [d.code for d in caught.value.diagnostics] == ["D007"]
    assert caught.value.source is not None
