"""What a syntax error means in words: got, expected, and what to do."""

from lark import Token

from diamond.dsl.build_tree import span_of
from diamond.dsl.diagnostics import Diagnostic, Label
from diamond.dsl.source import Span
from diamond.dsl.stand_ins import (
    has_second_value,
    lacks_length,
    stand_in,
    thousands,
)
from diamond.dsl.suggest import did_you_mean, shorten
from diamond.dsl.tokens import CLOSERS, title_of
from diamond.dsl.trouble import Trouble
from diamond.dsl.vocabulary.blocks import form_named

# The first row whose tokens are all accepted says what was expected.
EXPECTED = (
    ({"LET"}, "a block, `let` or `scheme`"),
    ({"LINK"}, "a setting or `}`"),
    ({"NEWLINE"}, "the end of the statement"),
    ({"STRING", "RSQB"}, "a value or `]`"),
    ({"NUMBER", "STRING"}, "a value"),
    ({"NUMBER"}, "a number of steps"),
    ({"COMMA", "RPAR"}, "`,` or `)`"),
    ({"COMMA", "RSQB"}, "`,` or `]`"),
    ({"COMMA"}, "`,` and `then`"),
    ({"THEN"}, "`then`"),
    ({"NAME", "RPAR"}, "an argument or `)`"),
    ({"LBRACE"}, "`{`"),
    ({"EQUAL"}, "`=`"),
    ({"OVER"}, "`over`"),
    ({"NAME"}, "a name"),
    ({"LPAR"}, "`(`"),
)

CLOSES = {"{": "}", "(": ")", "[": "]"}
VALUES = ("NAME", "NUMBER", "STRING")
_LENGTHS = "say how long each phase but the last lasts: `X for 500 steps, then Y`"
_SCHEDULE = "a schedule ends with the value that stays: `X for 500 steps, then Y`"


def explain(trouble: Trouble) -> Diagnostic:
    """Returns the report of a syntax error."""
    return (
        _unclosed_in_statement(trouble)
        or _unclosed_brace(trouble)
        or _closes_nothing(trouble)
        or _unnamed_argument(trouble)
        or _no_length(trouble)
        or _no_link(trouble)
        or _unexpected(trouble)
    )


def is_unclosed(trouble: Trouble) -> bool:
    """Says whether the open block should have been closed before this statement."""
    if trouble.opened is None or trouble.opened in trouble.tokens.partner:
        return False
    if trouble.got.type == "$END":
        return not {"RPAR", "RSQB"} & trouble.accepts
    header = [token.type for token in trouble.words]
    starts_block = header in (["NAME"], ["NAME", "NAME"], ["NAME", "OVER", "NAME"])
    starts_item = trouble.start in ("let", "scheme")
    starts_block = starts_block and trouble.got.type == "LBRACE"
    return starts_item or starts_block or _is_named_block(trouble)


def _is_named_block(trouble: Trouble) -> bool:
    """Says whether this is the name in the head of a block, as in `data digits {`."""
    names = len(trouble.words) == 1 and trouble.got.type == "NAME"
    known = names and form_named(trouble.start) is not None
    return known and trouble.kinds_ahead[0] == "LBRACE"


def _unclosed_brace(trouble: Trouble) -> Diagnostic | None:
    if trouble.opened is None or not is_unclosed(trouble):
        return None
    ended = trouble.got.type == "$END"
    place = span_of(trouble.got if ended else trouble.start)
    return _unclosed(trouble.tokens.items[trouble.opened], place)


def _unclosed_in_statement(trouble: Trouble) -> Diagnostic | None:
    """Reports a `(` or a `[` that is still open where something else ends."""
    closers = {"RPAR", "RSQB"} & trouble.accepts
    ends = ("NEWLINE", "RPAR", "RSQB", "RBRACE", "$END")
    if not closers or trouble.got.type not in ends:
        return None
    opens = [
        token
        for place, token in enumerate(trouble.words, trouble.statement)
        if token.type in {CLOSERS[one] for one in closers}
        and place not in trouble.tokens.partner
    ]
    return _unclosed(opens[-1], span_of(trouble.got)) if opens else None


def _unclosed(bracket: Token, place: Span) -> Diagnostic:
    return Diagnostic(
        "D011",
        f"`{bracket}` is never closed",
        Span(place.start, place.start),
        expected=f"`{CLOSES[bracket]}`",
        labels=(Label(span_of(bracket), "opened here"),),
    )


def _closes_nothing(trouble: Trouble) -> Diagnostic | None:
    partner = trouble.tokens.partner
    if trouble.got.type not in CLOSERS or trouble.at in partner.values():
        return None
    message = f"`{trouble.got}` closes nothing"
    return Diagnostic("D012", message, span_of(trouble.got), help="remove it")


def _unnamed_argument(trouble: Trouble) -> Diagnostic | None:
    value = _unnamed_value(trouble)
    if value is None:
        return None
    text = shorten(value)
    message = f"argument `{text}` has no name"
    fix = f"write `NAME = {text}`"
    return Diagnostic("D013", message, span_of(value), help=fix)


def _unnamed_value(trouble: Trouble) -> Token | None:
    kind = trouble.got.type
    if trouble.accepts == {"NAME", "RPAR"} and kind in ("NUMBER", "STRING"):
        return trouble.got
    if trouble.accepts == {"EQUAL"} and kind in ("COMMA", "RPAR", "LPAR", "OVER"):
        return trouble.words[-1]
    return None


def _no_length(trouble: Trouble) -> Diagnostic | None:
    if not lacks_length(trouble):
        return None
    return Diagnostic(
        "D010",
        "a phase before `then` has no length",
        span_of(trouble.got),
        expected="`for` and a number of steps",
        help=_LENGTHS,
    )


def _no_link(trouble: Trouble) -> Diagnostic | None:
    if not (has_second_value(trouble) and _in_hardware(trouble)):
        return None
    name = shorten(trouble.start)
    message = f"`link` is missing before `{name}`"
    return Diagnostic("D010", message, span_of(trouble.start), f"`link {name} = ...`")


def _in_hardware(trouble: Trouble) -> bool:
    opened = trouble.opened
    return opened is not None and trouble.tokens.items[opened - 1] == "hardware"


def _unexpected(trouble: Trouble) -> Diagnostic:
    known = stand_in(trouble)
    rows = (words for types, words in EXPECTED if types <= trouble.accepts)
    return Diagnostic(
        "D005" if trouble.got.type == "UNKNOWN" else "D010",
        f"unexpected {_described(trouble.got)}",
        span_of(trouble.got),
        expected=f"`{known.meant}`" if known else next(rows, None),
        help=known.advice if known else _advice(trouble),
    )


def _described(token: Token) -> str:
    match token.type:
        case "NEWLINE":
            return "end of the line"
        case "$END":
            return "end of the file"
        case "UNKNOWN" if not token.isascii():
            return f"character {title_of(token[0])}"
    return f"`{shorten(token)}`"


def _advice(trouble: Trouble) -> str | None:
    """Returns the fix, where there is an obvious one."""
    if trouble.got == "/" and trouble.tokens.items[trouble.at + 1] == "/":
        return "a comment starts with `#`"
    if trouble.opened is None and "LBRACE" in trouble.accepts:
        return _advice_on_header(trouble)
    if thousands(trouble):
        return f"write `{thousands(trouble)}`"
    if has_second_value(trouble):
        return "a setting has one value"
    before = trouble.words[-1].type if trouble.words else None
    if trouble.got.type == "EQUAL" and before == "INCLUDE":
        return "write `include NAME`, without `=`"
    if {"THEN"} == trouble.accepts or _is_open_schedule(trouble):
        return _SCHEDULE
    if trouble.got.type == "LBRACE" and trouble.opened is not None:
        return "a block cannot stand inside another block"
    if "EQUAL" in trouble.accepts and trouble.got.type in ("NAME", "NUMBER", "STRING"):
        return _advice_on_equal(trouble)
    if trouble.got.type == "EQUAL" and "RPAR" in trouble.accepts:
        return f"put `,` before `{shorten(trouble.words[-1])}`"
    if {"COMMA", "RSQB"} <= trouble.accepts and trouble.got.type in VALUES:
        return f"put `,` before `{shorten(trouble.got)}`"
    if "NEWLINE" in trouble.accepts and trouble.got.type in ("NAME", "EQUAL"):
        return "put each statement on a line of its own, or `;` between them"
    return None


def _advice_on_equal(trouble: Trouble) -> str | None:
    if trouble.words[-1].type == "THEN":
        return _LENGTHS
    key, got = shorten(trouble.words[-1]), shorten(trouble.got)
    if key == "shard" and trouble.got.type == "NAME":
        return f'write `shard "{got}" (...)`, with the pattern in quotes'
    followed = trouble.tokens.items[trouble.at + 1].type == "NAME"
    over = did_you_mean(got, ["over"]) if followed else None
    return over or f"write `{key} = {got}`"


def _is_open_schedule(trouble: Trouble) -> bool:
    ends = {"RPAR", "RSQB", "NEWLINE"}
    return "COMMA" in trouble.accepts and not ends & trouble.accepts


def _advice_on_header(trouble: Trouble) -> str | None:
    word, items = shorten(trouble.start), trouble.tokens.items
    if trouble.got.type == "NEWLINE" and items[trouble.at + 1].type == "LBRACE":
        return "put `{` on the line of the block's name"
    if word == "include":
        return "put `include` first in a block `replicas over`"
    if trouble.got.type != "EQUAL":
        return None
    if items[trouble.at + 1].type == "LBRACE":
        return "a block has no `=`"
    if len(trouble.words) == 1:
        return f"put settings in a block, or name a constant: `let {word} = ...`"
    if word == "link":
        return "put `link` in the block `hardware`"
    return did_you_mean(word, ["let"])
