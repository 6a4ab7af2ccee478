"""From a scheme to what runs it: devices, data, task, plan, program."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import jax

from diamond.compiler.build import build, plan_of, tensors_of
from diamond.compiler.certify import Certificate, CertificateError
from diamond.compiler.explain import explain
from diamond.compiler.passes.pipeline import verify_tensors
from diamond.compiler.plan import Plan
from diamond.compiler.plan_text import print_plan
from diamond.compiler.program import Program
from diamond.compiler.task import Params, Task
from diamond.compiler.temporaries import with_temporaries
from diamond.compiler.twins import can_overlap, is_late
from diamond.dsl.distillation import student_of
from diamond.dsl.vocabulary import Scheme
from diamond.runtime import devices, memory
from diamond.runtime.checkpoints import CheckpointStore, abstract
from diamond.runtime.checkpoints.identity import Meta, describe, describe_student
from diamond.runtime.data import DataError, Dataset, Share, open_data
from diamond.runtime.distillation import (
    Student,
    members_of,
    student_of_program,
    student_of_reference,
)
from diamond.runtime.emission import text_of
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.failures import (
    EnvironmentProblem,
    RunFailed,
    SchemeProblem,
    Uncertified,
)
from diamond.runtime.folder import RunFolder, open_run
from diamond.runtime.loop import Engine, Result, Schedule, train
from diamond.runtime.processes import ALONE, Peers
from diamond.runtime.processes.layout import devices_of_process
from diamond.runtime.progress import Progress
from diamond.runtime.tasks import make_task

NOT_OF_SEVERAL = (
    "--overlap is for one process: between several, gloo mixes up collectives of two "
    "programs that run at once; leave it out"
)
NOTHING_LATE = (
    "--overlap, but nothing can: it is for `pipelined`, and `local` with a delay, over "
    "an all-reduce of several copies, on the mesh engine; leave it out"
)


@dataclass(frozen=True)
class Session:
    """A scheme with its data opened and its task made.

    Attributes:
        scheme: What is trained.
        data: The data.
        task: Model, loss and optimizer.
        peers: The processes that train it together.
        twins: Whether there are twins of the devices, for what overlaps.
    """

    scheme: Scheme
    data: Dataset
    task: Task
    peers: Peers = ALONE
    twins: bool = False

    @cached_property
    def plan(self) -> Plan:
        """The plan, for which no device is needed."""
        if "program" in self.__dict__:
            return self.program.plan
        with _refusals():
            return plan_of(self.scheme, self.task, self.data.example_shapes())

    def explain(self) -> str:
        """Says in words and figures what the plan does; no device is needed."""
        shapes = self.data.example_shapes()
        return explain(with_temporaries(self.plan, self.task, shapes))

    @cached_property
    def program(self) -> Program:
        """The program, on the devices of this machine, or of all processes."""
        needed = num_members(self.scheme)
        found = devices.prepare(needed, processes=self.peers.number, twins=self.twins)
        with _refusals():
            shapes = self.data.example_shapes()
            overlap = len(found) > needed
            return build(self.scheme, self.task, shapes, found, overlap=overlap)

    @cached_property
    def student(self) -> "Session | None":
        """What an ensemble is distilled into, as a session of its own, if anything."""
        if self.scheme.distill is None:
            return None
        scheme = student_of(self.scheme)
        with _refusals():
            task = make_task(scheme, self.data)
            return Session(scheme, self.data, task, self.peers)

    def certify(self) -> Certificate:
        """Holds the compiled program against the plan.

        Raises:
            Uncertified: If they differ, naming the exchange.
        """
        try:
            return self.program.certify()
        except CertificateError as error:
            raise Uncertified(str(error)) from error

    def text(self, form: str) -> str:
        """Returns the `plan`, or the program in a form that `text_of` knows."""
        if form == "plan":
            return print_plan(self.plan)
        return text_of(self.program, form)

    def engine(self, name: str) -> Engine:
        """Returns what takes the steps: `mesh` or `reference`."""
        if name == "mesh":
            return self.program
        verify_tensors(self.scheme, tensors_of(self.task))
        with _refusals():
            return ReferenceEngine(self.scheme, self.task)


def open_session(
    scheme: Scheme,
    root: Path,
    *,
    engine: str | None = "mesh",
    num_devices: int | None = None,
    are_virtual: bool = False,
    peers: Peers = ALONE,
    overlap: bool = False,
) -> Session:
    """Makes devices ready, opens a scheme's data and makes its task.

    Args:
        scheme: The scheme, checked.
        root: The folder that the scheme's files are looked up in.
        engine: `mesh` needs a device a member; `reference` needs one, and so does
            None, where only the plan is wanted.
        num_devices: What the caller expects the mesh to need, or None.
        are_virtual: Whether nothing is to run, so that the devices need not be there.
        peers: The processes that train together, having joined.
        overlap: Whether means that are used late are formed beside the next steps.

    Raises:
        EnvironmentProblem: If there are not enough devices, or the processes do not
            divide the mesh.
        SchemeProblem: If model, data and loss do not fit together.
        RunFailed: If the data cannot be used.

    Example:
        >>> from diamond.dsl.vocabulary import Digits, Mlp
        >>> scheme = Scheme("tiny", Mlp(width=8, layers=1), Digits(batch=32))
        >>> open_session(scheme, Path(".")).plan.parameters
        610
    """
    members = num_members(scheme)
    if num_devices not in (None, members):
        raise EnvironmentProblem(_other_number(scheme, members, num_devices))
    if peers.number > 1:
        _check_processes(scheme, engine, peers.number)
    needed = members if engine == "mesh" else 1
    if overlap and peers.number > 1:
        raise EnvironmentProblem(NOT_OF_SEVERAL)
    twins = overlap and engine == "mesh" and is_late(scheme)
    devices.prepare(
        needed,
        precision=scheme.train.precision,
        are_virtual=are_virtual,
        processes=peers.number,
        twins=twins,
    )
    if scheme.data is None:
        raise SchemeProblem("the scheme has no `data` block, so it cannot be run")
    with _refusals():
        data = open_data(scheme.data, root, scheme.train.seed, scheme.model)
        session = Session(scheme, data, make_task(scheme, data), peers, twins)
        if overlap and not (twins and can_overlap(session.plan)):
            raise SchemeProblem(NOTHING_LATE)
    _ = session.student  # so that one that does not fit is refused before any step
    return session


def run_session(session: Session, out: Path, engine: str, progress: Progress) -> Result:
    """Trains a session's scheme in a run folder, from where the folder stands.

    Where the scheme says so, an ensemble is then distilled into one model.
    """
    scheme, peers = session.scheme, session.peers
    schedule = Schedule(
        scheme.train.steps, scheme.train.evaluate, scheme.train.checkpoint
    )
    told = memory.told_with(lambda: session.plan)
    with open_run(out, scheme.name, peers) as run, _bad_data(), told:
        meta = describe(scheme, engine, session.data.fingerprint())
        trained = session.engine(engine)
        result = train(
            trained,
            _fed(session, trained),
            schedule,
            run,
            seed=scheme.train.seed,
            meta=meta,
            progress=progress,
            peers=peers,
        )
        if scheme.distill is None:
            return result
        return replace(result, student=_distil(session, trained, run, meta, progress))


def _distil(
    session: Session, trained: Engine, run: RunFolder, meta: Meta, progress: Progress
) -> Result:
    """Trains the student in a folder of its own, named by the members' last step."""
    scheme, step = student_of(session.scheme), session.scheme.train.steps
    progress.note(f"distilling the ensemble of step {step:,} into one model")
    like = abstract(trained.init(jax.random.key(scheme.train.seed)))
    store = CheckpointStore(run.checkpoints, peers=session.peers)
    members = members_of(trained, store.restore(step, like))
    with _refusals():
        student = _student(session, trained, members)
    schedule = Schedule(
        scheme.train.steps, scheme.train.evaluate, scheme.train.checkpoint
    )
    peers = session.peers
    with open_run(run.student(step), scheme.name, peers) as folder:
        return train(
            student,
            _fed(session, student.engine),
            schedule,
            folder,
            seed=scheme.train.seed,
            meta=describe_student(session.scheme, meta, session.data.fingerprint()),
            progress=progress,
            peers=peers,
        )


def _fed(session: Session, engine: Engine) -> Dataset:
    """Returns the data, or what this process feeds of it to a program."""
    if isinstance(engine, Program) and session.peers.number > 1:
        return Share(session.data, engine.rows)
    return session.data


def _student(session: Session, trained: Engine, members: Params) -> Student:
    given = (session.scheme, session.task, members, session.data)
    if isinstance(trained, ReferenceEngine):
        return student_of_reference(*given)
    size, processes = num_members(session.scheme), session.peers.number
    return student_of_program(*given, devices.prepare(size, processes=processes))


def num_members(scheme: Scheme) -> int:
    """Returns the number of devices of a scheme's mesh."""
    return math.prod(axis.size for axis in scheme.mesh)


def _check_processes(scheme: Scheme, engine: str | None, processes: int) -> None:
    if engine != "mesh":
        raise EnvironmentProblem(
            f"the {engine} engine runs in one process, not in {processes}"
        )
    devices_of_process(scheme.mesh, processes)


def _other_number(scheme: Scheme, members: int, given: int) -> str:
    axes = ", ".join(f"{axis.name} = {axis.size}" for axis in scheme.mesh)
    mesh = f"the mesh ({axes}) has {members} members" if axes else "there is no mesh"
    fitting = [
        f" --set mesh.{axis.name}={given * axis.size // members}"
        for axis in scheme.mesh
        if given * axis.size % members == 0
    ]
    example = fitting[0] if fitting else ""
    return (
        f"--devices {given}, but {mesh}; change the mesh"
        f"{', with' if example else ''}{example}, or leave --devices out"
    )


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turns what data, task and compiler refuse into failures with exit codes."""
    try:
        with _bad_data():
            yield
    except ValueError as error:
        raise SchemeProblem(str(error)) from error


@contextlib.contextmanager
def _bad_data() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise RunFailed(str(error)) from error
