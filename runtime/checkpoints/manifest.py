"""The manifest: what a complete checkpoint consists of, to the last bit.

Orbax restores a file with a flipped bit without a word, so every file is held
against its SHA-256 before anything is restored. The manifest is renamed into place
after everything else is on the disk: a step without one does not exist. Its own
text is canonical and carries its own digest, so a change in it shows as well.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

NAME = "MANIFEST.json"
PARTIAL = "MANIFEST.json.partial"
FORMAT = 1


class Damaged(Exception):
    """A file of a checkpoint is not what was written; the message names it."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file by its path under the step's folder, its size and its digest."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LeafRecord:
    """An array of the state: its name, element type and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that is known about a checkpoint.

    Attributes:
        step: Steps taken.
        meta: What the caller wants to find again: scheme, versions, mesh, data.
        leaves: The arrays, in the state's order.
        files: Every file, sorted by path.
    """

    step: int
    meta: dict[str, Any]
    leaves: tuple[LeafRecord, ...]
    files: tuple[FileRecord, ...]


def record_files(folder: Path, under: str) -> tuple[FileRecord, ...]:
    """Brings every file of `folder / under` to the disk and returns their digests.

    Files are read in threads: hashing lets go of the interpreter's lock.
    """
    entries = sorted((folder / under).rglob("*"))
    files = [each for each in entries if each.is_file()]
    with ThreadPoolExecutor() as pool:
        records = tuple(pool.map(lambda each: _record(folder, each), files))
    for each in (*entries, folder / under):
        if each.is_dir():
            sync_folder(each)
    return records


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Writes the manifest beside the files it lists; from here on the step exists."""
    partial = folder / PARTIAL
    with partial.open("wb") as file:
        file.write(_encode(manifest))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / NAME)
    sync_folder(folder)
    sync_folder(folder.parent)


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a step.

    Raises:
        Damaged: If it is not what was written.
    """
    path = folder / NAME
    try:
        data = path.read_bytes()
        manifest = _decode(data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path}: the manifest cannot be read") from error
    if _encode(manifest) != data:
        raise Damaged(f"{path}: the manifest is not what was written")
    return manifest


def check_files(manifest: Manifest, folder: Path) -> None:
    """Holds every file against its record.

    Raises:
        Damaged: If a file is missing or differs, naming the first one.
    """
    with ThreadPoolExecutor() as pool:
        problems = pool.map(lambda each: _problem(folder, each), manifest.files)
        _raise_first(problems)


def sync_folder(folder: Path) -> None:
    """Brings a folder's own entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _record(folder: Path, path: Path) -> FileRecord:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return FileRecord(path.relative_to(folder).as_posix(), size, digest)


def _problem(folder: Path, record: FileRecord) -> str | None:
    path = folder / record.path
    if _leaves_folder(folder, record.path):
        return f"{path}: the manifest names a file outside the checkpoint"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path}: {(error.strerror or 'cannot be read').lower()}"
    if digest != record.sha256:
        return f"{path}: the file is not what was written (SHA-256 differs)"
    return None


def _leaves_folder(folder: Path, name: str) -> bool:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        return True
    return not (folder / name).resolve().is_relative_to(folder.resolve())


def _raise_first(problems: Iterable[str | None]) -> None:
    for problem in problems:
        if problem:
            raise Damaged(problem)


def _encode(manifest: Manifest) -> bytes:
    content = {"format": FORMAT, **asdict(manifest)}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    content["sha256"] = digest.hexdigest()
    return json.dumps(content, sort_keys=True, indent=1).encode()


def _decode(data: bytes) -> Manifest:
    content = json.loads(data)
    leaves = (
        LeafRecord(each["name"], each["dtype"], tuple(each["shape"]))
        for each in content["leaves"]
    )
    files = (FileRecord(**each) for each in content["files"])
    return Manifest(content["step"], content["meta"], tuple(leaves), tuple(files))
