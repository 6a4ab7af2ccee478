"""From text to the tokens that the parser reads, with a report of what is none."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from lark import Token

from diamond.dsl.build_tree import span_of
from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.machine import raw_tokens
from diamond.dsl.numbers import read_number
from diamond.dsl.refused import Refused
from diamond.dsl.source import Source, Span
from diamond.dsl.suggest import shorten
from diamond.dsl.units import our_name

MAX_BYTES = 2**20
MAX_TOKENS = 100_000
MAX_DEPTH = 64
MAX_ERRORS = 100

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction of text
    "\u2028\u2029\ud800-\udfff]"  # line breaks of other tools, halves of characters
    "|\r(?!\n)"
)
SWALLOW_BREAKS = frozenset({"COMMA", "LPAR", "LSQB", "NEWLINE"})
CLOSERS = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}
WITHIN_STATEMENTS = ("LPAR", "LSQB")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a file, and what the parser needs to know about them.

    Attributes:
        items: Tokens that the grammar uses, and UNKNOWN ones; the last is `$END`.
        partner: Place of an opening bracket in `items` -> place of its closing one.
        doubtful: Where the strings start that may have swallowed other tokens.
    """

    items: tuple[Token, ...]
    partner: dict[int, int]
    doubtful: frozenset[int]


def lex(source: Source) -> list[Token]:
    """Returns every token of a source, comments and bad ones included.

    Raises:
        Refused: If there are too many tokens, or too many bytes.

    Example:
        >>> [token.type for token in lex(Source("a", "mesh {} # none"))]
        ['NAME', 'LBRACE', 'RBRACE', 'COMMENT']
    """
    check_size(len(source.text.encode("utf-8", "surrogatepass")))
    text = FORBIDDEN.sub(" ", source.text)
    if text.startswith("\ufeff"):
        text = " " + text[1:]
    tokens = []
    for token in raw_tokens(text):
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            message = f"more than {MAX_TOKENS:,} tokens"
            raise Refused(Diagnostic("D015", message, span_of(token)))
    return tokens


def check_size(num_bytes: int) -> None:
    """Refuses a text that is too large."""
    if num_bytes > MAX_BYTES:
        message = f"the text has more than {MAX_BYTES:,} bytes"
        raise Refused(Diagnostic("D002", message))


def forbidden_characters(source: Source) -> list[Diagnostic]:
    r"""Reports control characters wherever they stand, up to one error too many.

    Example:
        >>> forbidden_characters(Source("a", "# \0"))[0].message
        'forbidden character U+0000'
    """
    return [
        Diagnostic(
            "D004",
            f"forbidden character {title_of(match[0])}",
            Span(*match.span()),
            help="remove it",
        )
        for match in islice(FORBIDDEN.finditer(source.text), MAX_ERRORS + 1)
    ]


def title_of(character: str) -> str:
    """Names a character for people: its number, and its name where it has one."""
    name = unicodedata.name(character, "").lower()
    number = f"U+{ord(character):04X}"
    return f"{number} ({name})" if name else number


def arrange(raw: Iterable[Token], end: int) -> tuple[Tokens, list[Diagnostic]]:
    """Prepares tokens for the parser.

    Comments go, bad tokens are reported and stand for what they were meant to be,
    and line breaks that end nothing go.

    Raises:
        Refused: If brackets nest too deeply.
    """
    problems: list[Diagnostic] = []
    kept, doubtful = [], set()
    for token in raw:
        if token.type == "COMMENT":
            continue
        problem = problem_of(token)
        kept.append(_meant(token) if problem else token)
        problems += [problem] if problem else []
        if token.type == "BAD_STRING" and not _is_closed(token):
            doubtful.add(span_of(token).start)
    kept = _without_soft_breaks(kept)
    kept.append(Token("$END", "", start_pos=end, end_pos=end))
    tokens = Tokens(tuple(kept), pair_brackets(kept), frozenset(doubtful))
    return tokens, problems


def problem_of(token: Token) -> Diagnostic | None:
    """Says what is wrong with a token by itself, if anything is."""
    match token.type:
        case "NUMBER":
            return _range_problem(token)
        case "BAD_NUMBER":
            return _number_problem(token)
        case "BAD_STRING":
            return _string_problem(token)
        case "BAD_NAME":
            return _name_problem(token)
    return None


def _range_problem(token: Token) -> Diagnostic | None:
    try:
        read_number(token)
    except ValueError as reason:
        message = f"number out of range: {reason}"
        return Diagnostic("D008", message, span_of(token))
    return None


def _number_problem(token: Token) -> Diagnostic:
    message = f"`{shorten(token)}` is not a number"
    unit = re.fullmatch(r"(-?[0-9]+(?:\.[0-9]+)?)([A-Za-z]+(?:/s)?)", token[:40])
    point = re.fullmatch(r"(-?)([0-9]*)\.([0-9]*)", token[:40])
    fix = "write digits, then a fraction or an exponent: `20_000`, `0.5`, `3e-4`"
    if unit:
        name = our_name(unit[2])
        fix = f"put a space before a unit: `{unit[1]} {name}`"
    elif point:
        fix = f"write `{point[1]}{point[2] or 0}.{point[3] or 0}`"
    return Diagnostic("D007", message, span_of(token), help=fix)


def _string_problem(token: Token) -> Diagnostic:
    if not _is_closed(token):
        fix = 'close it with `"` on the same line'
        return Diagnostic("D006", "the string has no end", span_of(token), help=fix)
    kind = "single" if token[0] == "'" else "typographic"
    fix = f'write `"{shorten(token[1:-1])}"`'
    message = f"a string in {kind} quotes"
    return Diagnostic("D006", message, span_of(token), '`"`', fix)


def _name_problem(token: Token) -> Diagnostic:
    wrong = next(c for c in token if not (c.isascii() and (c.isalnum() or c == "_")))
    shown = f"`{wrong}`" if wrong.isascii() else title_of(wrong)
    fix = re.sub(r"[-.]", "_", token)
    return Diagnostic(
        "D009",
        f"a name cannot have {shown} in it",
        span_of(token),
        "letters a-z, digits and `_`",
        f"write `{shorten(fix)}`" if fix.isascii() else None,
    )


def _meant(token: Token) -> Token:
    match token.type:
        case "BAD_NUMBER" | "NUMBER":
            return token.update("NUMBER", "0")
        case "BAD_STRING":
            return token.update("STRING", f'"{token[1:-1]}"')
    return token.update("NAME")


def _is_closed(token: Token) -> bool:
    ends = "'\u2018\u2019" if token[0] in "'\u2018\u2019" else '"\u201c\u201d\u201e'
    return len(token) > 1 and token[0] != '"' and token[-1] in ends


def _without_soft_breaks(tokens: list[Token]) -> list[Token]:
    closed = pair_brackets(tokens)
    closed = {a: b for a, b in closed.items() if tokens[a].type in WITHIN_STATEMENTS}
    kept: list[Token] = []
    inside = 0
    for place, token in enumerate(tokens):
        inside = max(inside, closed.get(place, 0))
        soft = place < inside or (kept and kept[-1].type in SWALLOW_BREAKS)
        if token.type != "NEWLINE" or not soft:
            kept.append(token)
    return kept


def pair_brackets(tokens: list[Token]) -> dict[int, int]:
    """Finds the partner of each bracket; what is open inside of it stays without one.

    Raises:
        Refused: If brackets nest too deeply.
    """
    opened: list[int] = []
    partner = {}
    for place, token in enumerate(tokens):
        if token.type in CLOSERS.values():
            opened.append(place)
            _check_depth(opened, token)
        if token.type in CLOSERS:
            del opened[_opened_until(opened, token.type, tokens) :]
        if opened and tokens[opened[-1]].type == CLOSERS.get(token.type):
            partner[opened.pop()] = place
    return partner


def _opened_until(opened: Sequence[int], closer: str, tokens: list[Token]) -> int:
    """Returns how many open brackets are left by a closing one, its own included.

    It closes those inside its own; one that has none of its own closes nothing, but
    for a brace, which ends every statement.
    """
    count, ends = len(opened), (CLOSERS[closer], "LBRACE")
    while count and tokens[opened[count - 1]].type not in ends:
        count -= 1
    own = count and tokens[opened[count - 1]].type == CLOSERS[closer]
    return count if own or closer == "RBRACE" else len(opened)


def _check_depth(opened: list[int], token: Token) -> None:
    if len(opened) > MAX_DEPTH:
        message = f"brackets nested more than {MAX_DEPTH} deep"
        raise Refused(Diagnostic("D016", message, span_of(token)))
