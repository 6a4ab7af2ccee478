"""The allocator keeps its memory, in a process of its own."""

import subprocess
import sys
import textwrap

import pytest

PROBE = """
    import resource
    import sys
    import numpy as np
    from diamond.runtime.allocator import keep_memory

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            np.ones(64 * 2**20, np.uint8)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    kept = keep_memory() if sys.argv[1] == "keep" else True
    faults()
    print(faults() if kept else 0)
"""


def faults(mode: str) -> int:
    """Returns the page faults of five arrays, made one after the other."""
    command = [sys.executable, "-c", textwrap.dedent(PROBE), mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is not glibc")
def test_memory_is_used_again() -> None:
    assert faults("keep") < 100
    assert faults("leave") > 1000
