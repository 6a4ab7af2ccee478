"""The C library's allocator, told to keep the memory that it has."""

import ctypes
import sys

# Numbers of <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 2**12


def keep_memory() -> bool:
    """Makes glibc's malloc keep freed memory for the next step of a program on CPU.

    XLA's CPU client allocates the temporary memory of a program anew at each call. By
    default, glibc gives so large a block back to the system when it is freed, so that
    each step pays a page fault for every 4 KiB: a third to a half of the time of a
    small transformer's step. The price is that the process stays at its largest size.
    To be called before the first array is made; it concerns the whole process.

    Returns:
        Whether the allocator took the settings; False where it is not glibc's.

    Example:
        >>> keep_memory() in (True, False)
        True
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER))
    return all(mallopt(name, value) == 1 for name, value in settings)
