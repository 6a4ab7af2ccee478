"""A process that does not outlive the one that started it."""

import ctypes
import os
import signal
import sys

# A number of <sys/prctl.h>: which signal a process gets when its parent ends.
_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Has the kernel kill this process when its parent ends, on Linux.

    Args:
        parent: The parent's id; where it has ended already, so does this process.

    Example:
        >>> import subprocess
        >>> code = "import diamond.runtime.processes.parent as p; p.end_with(1)"
        >>> subprocess.run([sys.executable, "-c", code]).returncode
        1
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
