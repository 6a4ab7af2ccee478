"""What ends the command for a reason that is not a bug, with its exit code."""


class Failure(Exception):
    """Ends the command with a message instead of a traceback.

    Attributes:
        exit_code: What the command leaves with.
    """

    exit_code = 3


class SchemeProblem(Failure):
    """The scheme cannot be carried out, as only its shapes or its data show."""

    exit_code = 1


class EnvironmentProblem(Failure):
    """The call or the machine does not fit: devices, folders, versions, flags."""

    exit_code = 2


class RunFailed(Failure):
    """The run itself went wrong: the loss is not finite, the data is bad."""

    exit_code = 3


class Uncertified(Failure):
    """The compiled program does something else than the plan says: our bug."""

    exit_code = 70


class Interrupted(Failure):
    """A signal ended the run; what was done is saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class PeersLost(Failure):
    """Other processes that train with this one are gone; it may be tried again."""

    exit_code = 75


class EndedWith(Failure):
    """A process that was started ended with an exit code of its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
