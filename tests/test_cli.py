import json
import os
import subprocess
import sys

import jax
import pytest

from diamond.compiler.certify import CertificateError
from diamond.runtime.checkpoints import RunLock
from diamond.runtime.cli.command import diamondc
from diamond.runtime.cli.guard import guarded
from diamond.runtime.failures import Interrupted

GOOD = """\
scheme tiny

model mlp {
  width  = 8
  layers = 1
}

data digits { batch = 32 }

train {
  optimizer = adam(learning_rate = 0.01)
  steps     = 12
}

mesh {
  site = 2
  host = 2
}

replicas over site {
  consistency = local(every = 3)
  compression = int8(block = 64)
}

replicas over host { }
"""

HEAVY = {"jax", "jaxlib", "numpy", "flax", "optax", "orbax", "rich", "sklearn"}

IMPORTED = """
import sys
from diamond.runtime.cli.command import diamondc
from diamond.runtime.cli.guard import guarded
code = guarded(diamondc, sys.argv[1:])
loaded = {name.partition(".")[0] for name in sys.modules}
print(code, *sorted(loaded), file=sys.stderr)
"""


@pytest.fixture
def scheme(tmp_path):
    path = tmp_path / "tiny.diamond"
    path.write_text(GOOD)
    return path


@pytest.fixture
def call(capsys):
    """Runs the command in this process: exit code, stdout, stderr."""

    def called(*arguments):
        code = guarded(diamondc, [str(each) for each in arguments])
        return code, *capsys.readouterr()

    return called


def broken(scheme):
    scheme.write_text(GOOD.replace("every = 3", "evry = 3"))
    return scheme


# Imports


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["check", "FILE"], ["fmt", "--check", "FILE"]],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(scheme, arguments):
    arguments = [str(scheme) if each == "FILE" else each for each in arguments]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    _, *loaded = done.stderr.splitlines()[-1].split()
    assert not HEAVY & set(loaded)
    assert {"click", "diamond"} <= set(loaded)


# check


def test_check_of_a_good_scheme(call, scheme):
    code, out, err = call("check", scheme)
    assert (code, out, err) == (0, "1 scheme checked, no errors\n", "")


def test_check_reports_every_file(call, scheme, tmp_path):
    other = tmp_path / "other.diamond"
    other.write_text(GOOD.replace("mlp", "mlpp"))
    code, out, err = call("check", broken(scheme), other)
    assert (code, out) == (1, "")
    assert "tiny.diamond:21:" in err
    assert "other.diamond:3:7" in err


def test_check_as_json(call, scheme):
    code, out, err = call("check", broken(scheme), "--format", "json")
    assert (code, err) == (1, "")
    (found,) = json.loads(out)
    assert found["file"] == str(scheme)
    assert found["span"]["line"] == 21
    assert "evry" in found["message"]


def test_check_judges_overrides(call, scheme):
    assert call("check", scheme, "--set", "train.steps=5")[0] == 0
    code, _, err = call("check", scheme, "--set", "train.steps=many")
    assert code == 1
    assert "many" in err


def test_a_missing_file_is_a_wrong_call(call, tmp_path):
    code, out, err = call("check", tmp_path / "nowhere.diamond")
    assert (code, out) == (2, "")
    assert "error[D001]" in err


def test_color_only_where_it_is_wanted(call, scheme, monkeypatch):
    assert "\x1b[" not in call("check", broken(scheme))[2]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in call("check", scheme)[2]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in call("check", scheme)[2]


# fmt


def messy(scheme):
    scheme.write_text(GOOD.replace("  site = 2\n  host = 2", " site=2 # two\n host=2"))
    return scheme


def test_fmt_writes_in_place_and_is_done_after_once(call, scheme):
    code, _, err = call("fmt", messy(scheme))
    assert (code, err) == (0, "1 file reformatted\n")
    assert "site = 2  # two" in scheme.read_text()
    assert call("fmt", scheme)[2] == "1 file left as is\n"


def test_fmt_keeps_the_file_mode_and_leaves_nothing_behind(call, scheme):
    messy(scheme).chmod(0o600)
    call("fmt", scheme)
    assert scheme.stat().st_mode & 0o777 == 0o600
    assert list(scheme.parent.iterdir()) == [scheme]


def test_fmt_check_changes_nothing(call, scheme):
    before = messy(scheme).read_text()
    code, out, err = call("fmt", "--check", scheme)
    assert (code, out) == (1, f"would reformat {scheme}\n")
    assert err == "1 file would be reformatted\n"
    assert scheme.read_text() == before


def test_fmt_diff_shows_the_change(call, scheme):
    code, out, _ = call("fmt", "--diff", messy(scheme))
    assert code == 1
    assert "- site=2 # two\n" in out
    assert "+  site = 2  # two\n" in out


def test_fmt_of_stdin(scheme):
    command = [sys.executable, "-m", "diamond.runtime.cli", "fmt", "-"]
    done = subprocess.run(
        command, input="mesh{host=4}", capture_output=True, text=True, check=True
    )
    assert done.stdout == "mesh { host = 4 }\n"


def test_fmt_leaves_a_broken_file_and_goes_on(call, scheme, tmp_path):
    bad = tmp_path / "bad.diamond"
    bad.write_text("mesh {{")
    code, _, err = call("fmt", bad, messy(scheme))
    assert code == 1
    assert "error[D" in err
    assert "1 file reformatted" in err
    assert bad.read_text() == "mesh {{"


# explain and compile


def test_explain_tells_of_mesh_bytes_and_equations(call, scheme):
    code, out, _ = call("explain", scheme)
    assert code == 0
    assert "site  2  replicas, loose" in out
    assert "all-gather of s8" in out
    assert "gradient of the mean loss" in out


def test_explain_certifies(call, scheme):
    code, out, _ = call("explain", scheme, "--certify", "--format", "json")
    assert code == 0
    data = json.loads(out)
    assert set(data["wire_bytes_per_step"]) == {"site", "host"}
    assert {row["dtype"] for row in data["certificate"]} == {"s8", "f32"}


def test_a_program_that_differs_from_its_plan_is_our_bug(call, scheme, monkeypatch):
    def differ(program):
        raise CertificateError("host.gradients: all-reduce of f32[9], not of f32[8]")

    monkeypatch.setattr("diamond.compiler.program.Program.certify", differ)
    code, out, err = call("explain", scheme, "--certify")
    assert (code, out) == (70, "")
    assert err == "error: host.gradients: all-reduce of f32[9], not of f32[8]\n"


def test_explain_needs_no_devices(call, scheme):
    assert call("explain", scheme, "--set", "mesh.host=16")[0] == 0


def test_the_number_of_devices_is_held_against_the_mesh(call, scheme):
    assert call("explain", scheme, "--devices", "4")[0] == 0
    code, _, err = call("explain", scheme, "--devices", "8")
    assert code == 2
    assert "the mesh (site = 2, host = 2) has 4 members" in err
    assert "with --set mesh.site=4, or" in err


def test_what_is_late_crosses_on_twins(call, tmp_path, scheme):
    rule = "replicas.site.consistency=local(every = 4, delay = 2)"
    late = ["--overlap", "--set", rule, "--set", "replicas.site.compression=none"]
    assert call("run", scheme, "--out", tmp_path / "out", *late)[0] == 0
    code, _, err = call("run", scheme, "--out", tmp_path / "other", "--overlap")
    assert code == 1
    assert "it is for `pipelined`, and `local` with a delay" in err


ENSEMBLE = """\
model transformer { layers = 1; width = 8; heads = 2; context = 16 }
data text { batch = 4 }
train { steps = 3 }
mesh { seat = 2 }
parallelism { ensemble over seat }
distill { steps = 2 }
"""


def test_explain_tells_of_the_student_of_an_ensemble(call, tmp_path):
    path = tmp_path / "seats.diamond"
    path.write_text(ENSEMBLE)
    code, out, _ = call("explain", path)
    assert code == 0
    assert "_student: 2 devices, 2 steps of 4 examples" in out


def test_a_student_that_does_not_fit_the_data_is_refused_before_any_step(
    call, tmp_path
):
    path = tmp_path / "seats.diamond"
    small = "model = transformer(layers = 1, width = 8, heads = 2, context = 8)"
    path.write_text(ENSEMBLE.replace("distill {", f"distill {{ {small};"))
    for command in ("explain", "run"):
        code, _, err = call(command, path)
        assert code == 1
        assert "`context` of `transformer` is 8" in err


def test_hardware_that_is_not_there_is_planned_for_and_certified(scheme):
    more = ["--devices", "64", "--set", "mesh.host=32", "--set", "data.batch=64"]
    command = [sys.executable, "-m", "diamond.runtime.cli", "explain", str(scheme)]
    env = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [*command, *more], capture_output=True, text=True, check=True, env=env
    )
    assert "certified: 2 compiled programs and the plan agree" in done.stdout
    assert "host.gradients: all-reduce over host of f32[" in done.stdout


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("ast", '{\n  "node": "File"'),
        ("scheme", "scheme tiny\n"),
        ("plan", "plan "),
        ("jaxpr", "// a step with host.gradients\n"),
        ("stablehlo", "// a step with host.gradients\nmodule @"),
        ("hlo", "// a step with host.gradients\nHloModule"),
    ],
)
def test_compile_prints_each_form(call, scheme, form, start):
    code, out, _ = call("compile", scheme, "--emit", form)
    assert code == 0
    assert out.startswith(start)


def test_a_scheme_that_is_printed_loads_back(call, scheme, tmp_path):
    arguments = ("--emit", "scheme", "--set", "train.steps=7")
    _, out, _ = call("compile", scheme, *arguments)
    assert "steps = 7" in " ".join(out.split())
    assert "int8(block = 64, feedback = true, exclude = [])" in out
    again = tmp_path / "again.diamond"
    again.write_text(out)
    assert call("compile", again, "--emit", "scheme")[1] == out


# run


def test_run_ends_with_one_json_object(call, scheme, tmp_path):
    out_folder = tmp_path / "run"
    arguments = ("--out", out_folder, "--devices", 4, "--format", "json")
    code, out, err = call("run", scheme, *arguments)
    assert code == 0
    result = json.loads(out)
    assert set(result) == {
        "steps",
        "loss",
        "metrics",
        "steps_per_second",
        "wire_bytes_per_step",
        "checkpoint",
    }
    assert result["steps"] == 12
    assert 0 < result["metrics"]["accuracy"] <= 1
    assert result["wire_bytes_per_step"].keys() == {"site", "host"}
    assert result["checkpoint"] == str(out_folder / "checkpoints" / "step-00000012")
    assert "compiling ..." in err


def test_run_goes_on_and_ends_the_same(call, scheme, tmp_path):
    short = ("--out", tmp_path / "twice", "--set", "train.steps=5")
    assert call("run", scheme, *short)[0] == 0
    arguments = ("--format", "json", "--out")
    code, twice, err = call("run", scheme, *arguments, tmp_path / "twice")
    assert code == 0
    assert "going on from the checkpoint of step 5" in err
    _, once, _ = call("run", scheme, *arguments, tmp_path / "once")
    assert json.loads(twice)["metrics"] == json.loads(once)["metrics"]


def test_both_engines_train_the_same(call, scheme, tmp_path):
    losses = []
    for engine in ("mesh", "reference"):
        arguments = ("--engine", engine, "--out", tmp_path / engine)
        code, out, _ = call("run", scheme, *arguments, "--format", "json")
        assert code == 0
        losses.append(json.loads(out)["metrics"]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_run_refuses_a_folder_of_another_scheme(call, scheme, tmp_path):
    folder = tmp_path / "run"
    call("run", scheme, "--out", folder, "--set", "train.steps=2")
    seed = ("--set", "train.seed=1")
    code, _, err = call("run", scheme, "--out", folder, *seed)
    assert code == 2
    assert "train.seed: saved 0, now 1" in err


def test_run_refuses_a_folder_in_use(call, scheme, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with RunLock(folder):
        code, out, err = call("run", scheme, "--out", folder)
    assert (code, out) == (2, "")
    assert f"is in use by process {os.getpid()} on " in err


def test_a_loss_that_is_not_finite_ends_with_3(call, scheme, tmp_path):
    wild = ("--set", "train.optimizer.learning_rate=1e30")
    code, out, err = call("run", scheme, "--out", tmp_path / "run", *wild)
    assert (code, out) == (3, "")
    assert "is not finite, so training stopped; nothing was saved yet" in err


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_run_that_was_stopped_is_no_error(call, scheme, monkeypatch, number, code):
    def stop(*arguments):
        raise Interrupted("stopped after step 3", number)

    monkeypatch.setattr("diamond.runtime.session.run_session", stop)
    stopped = call("run", scheme, "--format", "json")
    assert stopped == (code, "", "stopped after step 3\n")
    assert f" {code}  stopped by " in call("--help")[1]


# Failures


def test_a_wrong_option_is_a_wrong_call(call):
    code, out, err = call("check", "--colour")
    assert (code, out) == (2, "")
    assert "No such option" in err


def no_memory(kind):
    if kind is MemoryError:
        return MemoryError()
    return kind("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes.")


@pytest.mark.parametrize("kind", [MemoryError, jax.errors.JaxRuntimeError])
def test_out_of_memory_says_what_to_do(call, scheme, tmp_path, monkeypatch, kind):
    def burst(*arguments):
        raise no_memory(kind)

    monkeypatch.setattr("diamond.compiler.program.Program.step", burst)
    code, out, err = call("run", scheme, "--out", tmp_path / "run")
    assert (code, out) == (3, "")
    assert "error: out of memory: take a smaller batch" in err
    assert "what the plan bills a device" in err
    assert "parameters: 2.38 KiB" in err


def test_out_of_memory_elsewhere_is_no_bug(call, scheme, monkeypatch):
    def burst(*arguments):
        raise no_memory(jax.errors.JaxRuntimeError)

    monkeypatch.setattr("diamond.compiler.program.Program.certify", burst)
    code, _, err = call("explain", scheme, "--certify")
    assert (code, err.count("\n")) == (3, 1)
    assert err.startswith("error: out of memory: take a smaller batch")


def test_a_full_disk_is_no_bug(scheme):
    command = f"{sys.executable} -m diamond.runtime.cli compile {scheme} --emit ast"
    done = subprocess.run(
        ["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "error: no space left on device\n"


def test_our_bug_ends_with_70_and_a_report(call, scheme, monkeypatch, tmp_path):
    def burst(*arguments):
        raise KeyError("gone")

    monkeypatch.setattr("diamond.dsl.load.diagnose", burst)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = call("check", scheme)
    assert (code, out) == (70, "")
    assert "error: diamondc has a bug: KeyError: 'gone'" in err
    assert "Traceback" not in err
    (report,) = tmp_path.glob("diamondc-*.txt")
    assert str(report) in err
    assert "Traceback" in report.read_text()


def test_a_reader_that_leaves_early_is_no_error(scheme):
    command = f"{sys.executable} -m diamond.runtime.cli compile {scheme} --emit ast"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_every_subcommand_has_help_with_examples(call):
    for name in diamondc.commands:
        code, out, _ = call(name, "--help")
        assert code == 0
        assert "Examples:\n  diamondc " in out.replace("    diamondc", "  diamondc", 1)
