"""Reading the file of a scheme, and refusing what is no text."""

import os
import stat

from diamond.dsl.diagnostics import Diagnostic, SchemeError
from diamond.dsl.refused import Refused
from diamond.dsl.source import Source, Span
from diamond.dsl.tokens import MAX_BYTES, check_size

KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_source(path: str | os.PathLike[str]) -> Source:
    """Reads a scheme's file; a mark of byte order at its start is left out.

    Raises:
        SchemeError: If it is missing, no regular file, too large, or not UTF-8.

    Example:
        >>> read_source("nowhere.diamond")
        Traceback (most recent call last):
        diamond.dsl.diagnostics.SchemeError: nowhere.diamond: D001 cannot read ...
    """
    name = os.fspath(path)
    try:
        data = _read_bytes(name)
        check_size(len(data))
        return Source(name, data.decode("utf-8-sig"))
    except Refused as refusal:
        raise SchemeError((refusal.diagnostic,), Source(name, "")) from None
    except UnicodeDecodeError as error:
        raise _not_text(name, error) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _unreadable(name, (reason or "unknown reason").lower()) from None


def _read_bytes(name: str) -> bytes:
    # O_NONBLOCK: opening a named pipe must not wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(name, flags)
    try:
        _check_kind(os.fstat(handle).st_mode)
        with open(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = (words for is_kind, words in KINDS if is_kind(mode))
        raise ValueError(f"it is {next(kinds, 'no regular file')}")


def _unreadable(name: str, reason: str) -> SchemeError:
    found = Diagnostic("D001", f"cannot read `{name}`: {reason}")
    return SchemeError((found,), Source(name, ""))


def _not_text(name: str, error: UnicodeDecodeError) -> SchemeError:
    data = error.object
    place = len(data[: error.start].decode("utf-8"))
    found = Diagnostic(
        "D003",
        f"byte 0x{data[error.start]:02X} is not UTF-8",
        Span(place, place + 1),
        help="save the file as UTF-8",
    )
    return SchemeError((found,), Source(name, data.decode("utf-8", "replace")))
