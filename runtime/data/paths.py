"""Files of a scheme's data: under the scheme's folder, regular, and nothing else."""

import hashlib
import stat
from pathlib import Path, PurePath

from diamond.runtime.data.dataset import DataError

# Files up to this size are known by their content, larger ones by size and time.
READ_WHOLE = 64 * 2**20


def find_files(root: Path, pattern: str) -> list[Path]:
    """Returns the files under `root` that a pattern such as `corpus/*.txt` matches.

    They are sorted by name; `**` stands for any folders.

    Raises:
        DataError: If the pattern leads out of `root`, matches nothing, or matches
            what is no regular file.
    """
    _refuse_ways_out(root, pattern)
    try:
        found = sorted(path for path in root.glob(pattern) if not path.is_dir())
    except (ValueError, OSError) as error:
        raise DataError(f"`{pattern}` is no file pattern: {error}") from error
    if not found:
        raise DataError(f"no file matches `{pattern}` in {root.absolute()}")
    return [_checked(root, path) for path in found]


def find_file(root: Path, name: str) -> Path:
    """Returns a file under `root`.

    Raises:
        DataError: If it leads out of `root`, is missing, or is no regular file.
    """
    _refuse_ways_out(root, name)
    return _checked(root, root / name)


def _refuse_ways_out(root: Path, name: str) -> None:
    if "://" in name:
        raise DataError(f"`{name}` is an address; data are read from files only")
    if "\0" in name or not name:
        raise DataError(f"{name!r} is no file name")
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(
            f"`{name}` leads out of the scheme's folder, {root.absolute()}; "
            "name files inside of it"
        )


def _checked(root: Path, path: Path) -> Path:
    try:
        real = path.resolve(strict=True)
        kind = real.stat().st_mode
    except FileNotFoundError:
        raise DataError(f"there is no file {path.absolute()}") from None
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not real.is_relative_to(root.resolve()):
        raise DataError(
            f"{path} is a link to {real}, outside of the scheme's folder; copy the "
            "file instead"
        )
    if not stat.S_ISREG(kind):
        raise DataError(f"{path} is no regular file")
    return path


def fingerprint(paths: list[Path], root: Path) -> str:
    """Returns the SHA-256 of files: their names, and their contents where small."""
    digest = hashlib.sha256()
    for path in paths:
        facts = path.stat()
        whole = facts.st_size <= READ_WHOLE
        head = f"{path.relative_to(root).as_posix()}\0{facts.st_size}\0"
        digest.update(head.encode("utf-8", "surrogateescape"))
        digest.update(path.read_bytes() if whole else str(facts.st_mtime_ns).encode())
    return digest.hexdigest()
