import os
import subprocess
import sys

import jax
import pytest

from diamond.runtime import devices
from diamond.runtime.failures import EnvironmentProblem

PREPARE = """
import sys
from diamond.runtime.devices import prepare
from diamond.runtime.failures import EnvironmentProblem
try:
    print(len(prepare(int(sys.argv[1]), precision=sys.argv[2])))
except EnvironmentProblem as problem:
    print(problem)
import jax.numpy as jnp
print(jnp.zeros(()).dtype)
"""


def prepared(number, precision="fp32", flags=""):
    environment = {**os.environ, "XLA_FLAGS": flags}
    command = [sys.executable, "-c", PREPARE, str(number), precision]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_virtual_devices_are_made_and_fp64_is_switched_on():
    assert prepared(3, "fp64", "--xla_dump_to=") == ["3", "float64"]


def test_a_number_that_the_user_has_set_stays():
    message, dtype = prepared(4, flags=f"{devices.FLAG}=2")
    assert message.startswith("the mesh needs 4 devices, this machine has 2 (cpu)")
    assert f"set {devices.FLAG}=4" in message
    assert dtype == "float32"


def test_a_platform_that_is_not_there_is_no_bug_of_ours():
    environment = {**os.environ, "JAX_PLATFORMS": "cuda"}
    code = PREPARE.partition("import jax")[0]
    done = subprocess.run(
        [sys.executable, "-c", code, "1", "fp32"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("JAX finds no device (JAX_PLATFORMS=cuda)")


def test_fewer_than_there_are_may_be_used():
    assert devices.prepare(2) == jax.devices()[:2]


def test_devices_that_come_too_late_are_refused():
    with pytest.raises(EnvironmentProblem, match="needs 99 devices") as error:
        devices.prepare(99)
    assert error.value.exit_code == 2


def test_a_machine_with_too_few_gpus_is_told_of_virtual_devices():
    text = devices._too_few(8, 1, "gpu")
    assert text == (
        "the mesh needs 8 devices, this machine has 1 (gpu);"
        " JAX_PLATFORMS=cpu trains on virtual CPU devices instead"
    )
