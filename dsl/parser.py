"""The parser: text to syntax tree, going on after an error to find the next one."""

from lark import Token
from lark.exceptions import UnexpectedToken

from diamond.dsl.build_tree import span_of
from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.machine import Machine
from diamond.dsl.parse_errors import explain, is_unclosed
from diamond.dsl.refused import Refused
from diamond.dsl.source import Source
from diamond.dsl.stand_ins import stand_in
from diamond.dsl.syntax import File
from diamond.dsl.tokens import (
    MAX_ERRORS,
    Tokens,
    arrange,
    forbidden_characters,
    lex,
)
from diamond.dsl.trouble import Trouble

KEYWORDS = frozenset({"SCHEME", "LET", "INCLUDE", "LINK", "OVER", "FOR", "THEN"})
KEYWORDS |= {"SHARD"}
# What may follow a word that is a value and not the start of the next statement.
AFTER_WORD = (["LPAR"], ["FOR"], ["NEWLINE"], ["SEMICOLON"], ["RBRACE"], ["$END"])
STOPS = frozenset({"NEWLINE", "SEMICOLON", "$END"})


def parse(source: Source) -> tuple[File | None, tuple[Diagnostic, ...]]:
    """Parses a source; every error of the file is reported, each with its place.

    The tree lacks the statements that could not be read, so that the rest can still
    be checked. It is None where the reading was given up: the text is too large, too
    deep, or has a hundred errors.

    Example:
        >>> file, problems = parse(Source("a.diamond", "mesh { site = }"))
        >>> problems[0].message, problems[0].expected
        ('unexpected `}`', 'a value')
    """
    try:
        raw = lex(source)
        tokens, problems = arrange(raw, len(source.text.rstrip()))
    except Refused as refusal:
        return None, (refusal.diagnostic,)
    run = Run(tokens)
    run.problems = forbidden_characters(source) + problems
    file = run.to_end()
    if len(run.problems) > MAX_ERRORS:
        return None, _first_of(run.problems)
    return file, tuple(sorted(run.problems, key=_start))


def _first_of(problems: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    first = sorted(problems, key=_start)[:MAX_ERRORS]
    message = "too many errors: the rest of the file is not read"
    return (*first, Diagnostic("D017", message, first[-1].span))


def _start(problem: Diagnostic) -> int:
    return problem.span.start if problem.span else 0


class Run:
    """One run of the LALR machine over the tokens of a file.

    A word is a keyword only where the grammar accepts it; elsewhere it is a name.
    After an error the machine's stack is cut back to where a statement may start, and
    the tokens are skipped up to the end of the statement.

    Attributes:
        at: The place in the tokens that is read next.
        statement: The place where the statement being read starts.
        opened: The places of the braces that are open.
        silent: Whether more errors of this statement would be echoes of a first.
        first: The first token of the first statement.
    """

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.machine = Machine()
        self.problems: list[Diagnostic] = []
        self.at = self.statement = 0
        self.opened: list[int] = []
        self.silent = False
        self.first: Token | None = None

    def to_end(self) -> File | None:
        """Reads all tokens; None if there are too many errors."""
        while len(self.problems) <= MAX_ERRORS:
            token = self.tokens.items[self.at]
            try:
                file = self.feed(token)
            except UnexpectedToken:
                if self.is_soft(self.at):
                    self.at += 1
                else:
                    self.recover(token)
                continue
            if file is not None:
                return file
            self.note(token)
        return None

    def feed(self, token: Token) -> File | None:
        """Gives a token to the machine, which returns the tree at the end."""
        if token.type in KEYWORDS and self.is_name(token.type):
            token = token.update("NAME")
        return self.machine.feed(token)

    def is_name(self, keyword: str) -> bool:
        """Says whether a keyword is an ordinary name here; `then` is never a unit."""
        takes = self.machine.takes
        if keyword == "SHARD" and self.tokens.items[self.at + 1].type != "STRING":
            return takes("NAME")
        if takes(keyword) or (keyword == "THEN" and takes("COMMA")):
            return False
        return takes("NAME")

    def is_soft(self, place: int) -> bool:
        """Says whether this is the line break between `, then` and a value."""
        kinds = [token.type for token in self.tokens.items[place - 2 : place + 3]]
        if kinds[:3] != ["COMMA", "THEN", "NEWLINE"]:
            return False
        return kinds[3] in ("NUMBER", "STRING", "LSQB") or kinds[4:] in AFTER_WORD

    def note(self, token: Token) -> None:
        """Keeps track of where the reading stands, after a token was taken."""
        self.at += 1
        self.silent |= token.start_pos in self.tokens.doubtful
        if token.type in ("NEWLINE", "SEMICOLON", "LBRACE"):
            self.start_statement()
        elif token.type == "SCHEME" and self.first and not self.opened:
            self.check_scheme(token)
        if token.type == "LBRACE":
            self.opened.append(self.at - 1)
        elif token.type == "RBRACE":
            self.opened.pop()
        if token.type not in STOPS:
            self.first = self.first or token

    def start_statement(self) -> None:
        """Marks that a statement starts here."""
        self.statement = self.at
        self.silent = False

    def check_scheme(self, token: Token) -> None:
        """Reports a `scheme` line that is not the first."""
        if self.statement == self.at - 1:
            message = "`scheme` is not the first statement"
            fix = "name the scheme once, before everything else"
            self.problems.append(Diagnostic("D014", message, span_of(token), help=fix))

    def recover(self, token: Token) -> None:
        """Reports an error at a token and gets the machine going again."""
        if token.type == "UNKNOWN" and self.silent:
            self.at += 1
            return
        trouble = self.trouble()
        if not self.silent:
            self.problems.append(explain(trouble))
        meant = None if self.silent else stand_in(trouble)
        if meant:
            self.machine.feed(token.update(meant.kind))
            self.note(token.update(meant.kind))
        elif token.type == "UNKNOWN":
            self.silent = True
            self.at += 1
        else:
            self.resume(trouble)

    def trouble(self) -> Trouble:
        """Returns where the reading stands, for the report."""
        accepts = self.machine.accepts()
        opened = self.opened[-1] if self.opened else None
        return Trouble(self.tokens, self.at, self.statement, opened, accepts)

    def resume(self, trouble: Trouble) -> None:
        """Ends or drops the statement and skips to where reading can go on."""
        if "NEWLINE" in trouble.accepts and not is_unclosed(trouble):
            self.insert("NEWLINE", "\n")
        else:
            self.machine.cut_back()
        header = self.header_ahead()
        if is_unclosed(trouble):
            self.close_block(trouble)
        elif header is not None:
            self.open_block(header)
        else:
            self.skip()

    def insert(self, kind: str, text: str) -> None:
        """Gives the machine a token that the text does not have."""
        place = self.tokens.items[self.at].start_pos
        self.machine.feed(Token(kind, text, start_pos=place, end_pos=place))

    def close_block(self, trouble: Trouble) -> None:
        """Goes on as if the open block had been closed before this statement."""
        if trouble.got.type != "$END":
            self.at = self.statement
        self.insert("RBRACE", "}")
        self.insert("NEWLINE", "\n")
        self.opened.pop()
        self.silent = False

    def header_ahead(self) -> int | None:
        """Returns where a `{` opens the block whose header was not understood."""
        if self.opened:
            return None
        place = self.at
        while self.tokens.items[place].type == "NEWLINE":
            place += 1
        if self.tokens.items[place].type == "LBRACE":
            return place
        place = self.at
        while self.tokens.items[place].type not in (*STOPS, "LBRACE"):
            place += 1
        return place if self.tokens.items[place].type == "LBRACE" else None

    def open_block(self, place: int) -> None:
        """Goes on within a block, under the first name of its header."""
        header = self.tokens.items[self.statement : place]
        brace = self.tokens.items[place]
        name = next((t for t in header if t.type == "NAME"), brace.update("NAME", ""))
        self.machine.feed(name)
        self.machine.feed(brace)
        self.at = place
        self.note(brace)

    def skip(self) -> None:
        """Skips to the end of the statement; whole brackets are skipped at once."""
        ends = STOPS | {"RBRACE"} if self.opened else STOPS
        self.at = max(self.at, self.end_of_brackets())
        while self.tokens.items[self.at].type not in ends or self.goes_on():
            self.at = self.tokens.partner.get(self.at, self.at) + 1

    def goes_on(self) -> bool:
        """Says whether a statement that is skipped goes on after its apparent end."""
        kinds = [token.type for token in self.tokens.items[self.at : self.at + 3]]
        ended = kinds[0] in ("NEWLINE", "SEMICOLON")
        late = ended and kinds[1:2] == ["THEN"] and kinds[2:] != ["EQUAL"]
        return late or self.is_soft(self.at)

    def end_of_brackets(self) -> int:
        """Returns where the brackets end that this place is inside of."""
        places = range(self.statement, self.at)
        return max((self.tokens.partner.get(p, 0) for p in places), default=0)
