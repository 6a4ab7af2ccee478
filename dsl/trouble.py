"""Where the parser stands at an error."""

from dataclasses import dataclass

from lark import Token

from diamond.dsl.tokens import Tokens

END = Token("$END", "")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Where the parser stands at an error.

    Attributes:
        tokens: The tokens of the file.
        at: The place of the token that was not accepted.
        statement: The place where its statement starts.
        opened: The place of the brace of the block being read, if any.
        accepts: The types of tokens that would have been accepted.
    """

    tokens: Tokens
    at: int
    statement: int
    opened: int | None
    accepts: frozenset[str]

    @property
    def got(self) -> Token:
        """The token that was not accepted."""
        return self.tokens.items[self.at]

    @property
    def words(self) -> tuple[Token, ...]:
        """The tokens of the statement that came before."""
        return self.tokens.items[self.statement : self.at]

    @property
    def start(self) -> Token:
        """The first token of the statement."""
        return self.tokens.items[self.statement]

    @property
    def kinds_ahead(self) -> tuple[str, str]:
        """The types of the two tokens after the wrong one."""
        first, second, *_ = (*self.tokens.items[self.at + 1 : self.at + 3], END, END)
        return first.type, second.type
