"""`diamondc cite`."""

import json
import subprocess
import sys

import pytest

from diamond.runtime.cli.command import diamondc
from diamond.runtime.cli.guard import guarded

TEXT = """\
mesh { site = 2; host = 2 }

replicas over site {
  include diloco
  compression = powersgd(rank = 2)
}

replicas over host { }
"""
PAPERS = [
    "stich2018local",
    "douillard2023diloco",
    "vogels2019powersgd",
    "li2020pytorch",
]
LIGHT = """
import sys
from diamond.runtime.cli.command import diamondc
from diamond.runtime.cli.guard import guarded
code = guarded(diamondc, sys.argv[1:])
print(code, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.fixture
def scheme(tmp_path):
    path = tmp_path / "tiny.diamond"
    path.write_text(TEXT)
    return path


@pytest.fixture
def call(capsys):
    def called(*arguments):
        code = guarded(diamondc, ["cite", *map(str, arguments)])
        return code, *capsys.readouterr()

    return called


def test_bibtex_of_what_the_scheme_uses(call, scheme):
    code, out, err = call(scheme)
    assert (code, err) == (0, "")
    heads = [line for line in out.splitlines() if line.startswith("@")]
    assert [head.partition("{")[2] for head in heads] == [f"{key}," for key in PAPERS]
    assert out.count("\n}\n") == len(PAPERS)


def test_json(call, scheme):
    code, out, _ = call(scheme, "--format", "json")
    papers = json.loads(out)
    assert code == 0
    assert [one["key"] for one in papers] == PAPERS
    assert papers[0]["authors"] == ["Sebastian U. Stich"]
    assert papers[0]["eprint"] == "1805.09767"
    assert papers[0]["title"].startswith("Local SGD Converges Fast")


def test_an_override_changes_what_is_cited(call, scheme):
    _, out, _ = call(scheme, "--set", "replicas.site.compression=qsgd")
    assert "alistarh2017qsgd" in out
    assert "vogels" not in out


def test_nothing_to_cite(call, scheme):
    scheme.write_text("model mlp { width = 8 }\n")
    code, out, err = call(scheme)
    assert (code, out) == (0, "")
    assert "nothing to cite" in err


def test_a_scheme_with_errors_is_not_cited(call, scheme):
    scheme.write_text(TEXT.replace("diloco", "dilco"))
    code, out, err = call(scheme)
    assert (code, out) == (1, "")
    assert "error[D085]" in err


def test_it_is_light(scheme):
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, "cite", str(scheme)],
        capture_output=True,
        text=True,
        check=True,
    )
    _, *loaded = done.stderr.splitlines()[-1].split()
    assert not {"jax", "numpy", "flax", "optax", "orbax"} & set(loaded)
    assert "@misc{douillard2023diloco," in done.stdout
