"""The grammar file as a machine: text to tokens, tokens to a tree, one at a time."""

from collections.abc import Iterator
from copy import copy
from functools import cache
from importlib.resources import files

from lark import Lark, Token
from lark.exceptions import UnexpectedToken

from diamond.dsl.build_tree import TreeBuilder
from diamond.dsl.syntax import File


class _KeepForReports:
    """Keeps the tokens that no rule uses; they are reported or left out later."""

    always_accept = ("COMMENT", "BAD_NUMBER", "BAD_STRING", "BAD_NAME", "UNKNOWN")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Passes the tokens on."""
        return stream


@cache
def language() -> Lark:
    """Returns the parser of `grammar/diamond.lark`.

    Its tables are built in memory, in 20 ms. Lark's own cache is a pickle in a shared
    temporary folder, which another user could have written.

    Example:
        >>> language().options.parser
        'lalr'
    """
    grammar = files("diamond.grammar").joinpath("diamond.lark")
    return Lark(
        grammar.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="basic",
        start="file",
        keep_all_tokens=True,
        maybe_placeholders=False,
        postlex=_KeepForReports(),
        transformer=TreeBuilder(),
    )


def raw_tokens(text: str) -> Iterator[Token]:
    """Yields the tokens of a text; every text has some, for the grammar names junk too.

    Example:
        >>> [token.type for token in raw_tokens("a = ?")]
        ['NAME', 'EQUAL', 'UNKNOWN']
    """
    reading = language().parse_interactive(text)
    yield from reading.lexer_thread.lex(  # type: ignore[no-untyped-call]
        reading.parser_state
    )


class Machine:
    """A LALR machine that is fed token by token.

    Example:
        >>> machine = Machine()
        >>> machine.feed(Token("SCHEME", "scheme"))
        >>> machine.accepts()
        frozenset({'NAME'})
    """

    def __init__(self) -> None:
        self._parser = language().parse_interactive()
        self._no_trees = copy(self._parser.parser_state.parse_conf)
        self._no_trees.callbacks = {}

    def feed(self, token: Token) -> File | None:
        """Takes a token; after the last, `$END`, returns the tree.

        Raises:
            lark.UnexpectedToken: If the grammar does not accept it here.
        """
        file: File | None = self._parser.feed_token(token)
        return file

    def takes(self, kind: str) -> bool:
        """Says whether a type of token would be accepted here."""
        if not self._has_entry(kind):
            return False
        # The table's entries are those of LALR: some lead to an error after a while.
        trial = self._parser.copy(  # type: ignore[no-untyped-call]
            deepcopy_values=False
        )
        trial.parser_state.parse_conf = self._no_trees
        try:
            trial.feed_token(Token(kind, ""))
        except UnexpectedToken:
            return False
        return True

    def accepts(self) -> frozenset[str]:
        """Returns the types of tokens that would be accepted here."""
        return frozenset(self._parser.accepts())  # type: ignore[no-untyped-call]

    def cut_back(self) -> None:
        """Forgets what was read of a statement: back to where one may start."""
        state = self._parser.parser_state
        while not (self._has_entry("LET") or self._has_entry("LINK")):
            state.state_stack.pop()
            state.value_stack.pop()

    def _has_entry(self, kind: str) -> bool:
        return kind in self._parser.choices()  # type: ignore[no-untyped-call]
