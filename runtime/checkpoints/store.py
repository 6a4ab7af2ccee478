"""Checkpoints of a run: saved whole or not at all, restored bit for bit.

    checkpoints/
      step-00000100/
        state/          written by Orbax
        MANIFEST.json   renamed in last; without it the step does not exist

A step whose files are not what was written is set aside as `step-00000100.damaged`
and an older one is taken. Nothing is deleted but what a store wrote. The caller
holds the run folder's lock. Of several processes each writes the parts of arrays that
it has; the first does all else, and writes the manifest once all parts are there.
"""

import contextlib
import logging
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orbax.checkpoint.experimental import v1 as ocp

from diamond.runtime.checkpoints import leaves, manifest
from diamond.runtime.checkpoints.manifest import Damaged, LeafRecord, Manifest
from diamond.runtime.failures import EnvironmentProblem, RunFailed
from diamond.runtime.processes import ALONE, Peers
from diamond.runtime.processes.lost import as_loss

STATE = "state"
# What JAX narrows where its 64-bit types are off.
WIDE = ("float64", "int64", "uint64", "complex128")
_FOLDER = re.compile(r"step-(\d{8,})")


class CheckpointStore:
    """The checkpoints in a folder.

    Attributes:
        folder: Where they stand.
        keep: How many complete steps stay; older ones are deleted.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> store = CheckpointStore(Path(tempfile.mkdtemp()))
        >>> path = store.save(3, {"x": np.arange(4.0)}, {"scheme": "tiny"})
        >>> store.latest(), store.restore(3, {"x": np.zeros(4)})["x"].tolist()
        (3, [0.0, 1.0, 2.0, 3.0])
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: int = 2,
        warn: Callable[[str], None] = warnings.warn,
        peers: Peers = ALONE,
    ) -> None:
        """Opens a folder of checkpoints, which need not exist.

        Args:
            folder: Where they stand.
            keep: How many complete steps stay, at least 2: the newest may be damaged.
            warn: Is told when a damaged step is set aside.
            peers: The processes that save and restore together.
        """
        if keep < 2:
            raise ValueError(f"at least 2 checkpoints must be kept, not {keep}")
        self.folder = folder.absolute()
        self.keep = keep
        self._warn = warn
        self._peers = peers

    def steps(self) -> tuple[int, ...]:
        """Returns the complete steps, oldest first."""
        return tuple(
            sorted(
                step
                for step, path in self._folders()
                if (path / manifest.NAME).exists()
            )
        )

    def save(self, step: int, state: Any, meta: dict[str, Any]) -> Path:
        """Saves a state and returns its folder once it is safely on the disk.

        Args:
            step: Steps taken.
            state: Any pytree of JAX arrays, NumPy arrays and Python numbers.
            meta: JSON to find again with `meta`.

        Raises:
            RunFailed: If it cannot be written; older steps are untouched.
        """
        path = self.path(step)
        with _told_plainly(f"the checkpoint of step {step} could not be written"):
            self._peers.led(lambda: _make_room(path))
            ocp.save(path / STATE, leaves.to_arrays(state))
            self._peers.gather("saved")
            self._peers.led(lambda: self._commit(step, state, meta))
        return path

    def _commit(self, step: int, state: Any, meta: dict[str, Any]) -> None:
        path = self.path(step)
        files = manifest.record_files(path, STATE)
        content = Manifest(step, meta, leaves.records_of(state), files)
        manifest.write_manifest(content, path)
        for old in self.steps()[: -self.keep]:
            _remove(self.path(old))

    def latest(self) -> int | None:
        """Returns the newest step that is whole, or None where none was ever saved.

        Leftovers of a save that never ended are deleted; damaged steps are set aside
        with a warning that names the file.

        Raises:
            RunFailed: If every step is damaged, or the folder cannot be used.
        """
        with _told_plainly(f"{self.folder} cannot be used"):
            return self._peers.led(self._newest_whole)

    def _newest_whole(self) -> int | None:
        self._remove_unfinished()
        steps = self.steps()
        for step in reversed(steps):
            try:
                self._check(step)
            except Damaged as damage:
                self._set_aside(step, damage)
            else:
                return step
        if steps:
            raise RunFailed(
                f"every checkpoint in {self.folder} is damaged; they were set aside"
                " and the next start begins at step 0"
            )
        return None

    def meta(self, step: int) -> dict[str, Any]:
        """Returns what was given to `save`."""
        return manifest.read_manifest(self.path(step)).meta

    def restore(self, step: int, like: Any) -> Any:
        """Returns the state of a step.

        Args:
            step: A step from `latest`.
            like: A state, or `jax.ShapeDtypeStruct`s with shardings in its structure:
                arrays come back on these shardings.

        Raises:
            Damaged: If a file is not what was written.
            EnvironmentProblem: If the state has other arrays than `like`, or JAX
                would narrow them.
        """
        self._peers.led(lambda: self._check(step))
        content = manifest.read_manifest(self.path(step))
        wanted = leaves.records_of(like)
        if content.leaves != wanted:
            raise EnvironmentProblem(_difference(content.leaves, wanted))
        arrays = ocp.load(self.path(step) / STATE, leaves.to_targets(like))
        _refuse_narrowed(content.leaves, arrays)
        return leaves.from_arrays(like, arrays)

    def path(self, step: int) -> Path:
        """Returns the folder of a step, saved or not."""
        return self.folder / f"step-{step:08d}"

    def _folders(self) -> Iterator[tuple[int, Path]]:
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            match = _FOLDER.fullmatch(path.name)
            if match and path.is_dir():
                yield int(match[1]), path

    def _check(self, step: int) -> None:
        content = manifest.read_manifest(self.path(step))
        if content.step != step:
            raise Damaged(f"{self.path(step)}: holds step {content.step}")
        manifest.check_files(content, self.path(step))

    def _remove_unfinished(self) -> None:
        for _, path in list(self._folders()):
            if not (path / manifest.NAME).exists():
                _remove(path)

    def _set_aside(self, step: int, damage: Damaged) -> None:
        path = self.path(step)
        number = 0
        while (aside := path.with_name(f"{path.name}.damaged{number or ''}")).exists():
            number += 1
        path.rename(aside)
        self._warn(
            f"the checkpoint of step {step} is damaged and was set aside"
            f" as {aside.name}: {damage}"
        )


def _make_room(path: Path) -> None:
    _remove(path)
    path.mkdir(parents=True, exist_ok=True)


def _remove(path: Path) -> None:
    """Deletes a step: the manifest first, so that it stops existing at once.

    Only what a store writes is deleted; a folder with anything else in it stays.
    """
    if not path.is_dir():
        return
    (path / manifest.NAME).unlink(missing_ok=True)
    (path / manifest.PARTIAL).unlink(missing_ok=True)
    for each in path.glob(f"{STATE}*"):
        shutil.rmtree(each)
    with contextlib.suppress(OSError):
        path.rmdir()


def _refuse_narrowed(saved: tuple[LeafRecord, ...], arrays: leaves.Arrays) -> None:
    """Orbax restores in threads of its own, which `jax.enable_x64` does not reach."""
    for record in saved:
        found = arrays.get(record.name)
        if found is not None and record.dtype in WIDE and found.dtype != record.dtype:
            raise EnvironmentProblem(
                f"`{record.name}` of the checkpoint is {record.dtype} and was restored "
                f"as {found.dtype}: switch 64-bit types on for the whole process, with "
                '`jax.config.update("jax_enable_x64", True)`'
            )


def _difference(saved: tuple[LeafRecord, ...], wanted: tuple[LeafRecord, ...]) -> str:
    before = {each.name: each for each in saved}
    after = {each.name: each for each in wanted}
    lines = [
        f"  {name}: saved {_written(before.get(name))}, now {_written(after.get(name))}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
    more = [f"  and {len(lines) - 8} more"] if len(lines) > 8 else []
    head = "the checkpoint holds another state than this scheme trains:"
    return "\n".join([head, *lines[:8], *more])


def _written(record: LeafRecord | None) -> str:
    if record is None:
        return "nothing"
    return f"{record.dtype}[{','.join(map(str, record.shape))}]"


@contextlib.contextmanager
def _told_plainly(what: str) -> Iterator[None]:
    """Turns what the file system or Orbax raises into one line."""
    try:
        with _quiet():
            yield
    except (OSError, ValueError) as error:
        lost = as_loss(error)
        if lost is not None:
            raise lost from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunFailed(f"{what}: {reason}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Orbax from writing what it raises to stderr as well, with tracebacks."""
    logger = logging.getLogger("absl")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
