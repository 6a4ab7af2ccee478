"""Wrong tokens whose meaning is clear, so that the reading can go on past them."""

from dataclasses import dataclass

from diamond.dsl.trouble import Trouble


@dataclass(frozen=True, slots=True)
class StandIn:
    """A wrong token whose meaning is clear where `accepted` are all accepted."""

    got: str
    meant: str
    kind: str
    accepted: frozenset[str]
    advice: str


_NAMED = "write `=` between a name and its value"
STAND_INS = (
    StandIn(":", "=", "EQUAL", frozenset({"EQUAL"}), _NAMED),
    StandIn(":=", "=", "EQUAL", frozenset({"EQUAL"}), _NAMED),
    StandIn(
        ",",
        ";",
        "SEMICOLON",
        frozenset({"SEMICOLON"}),
        "end a statement with `;` or a new line",
    ),
    StandIn(
        ";",
        ",",
        "COMMA",
        frozenset({"COMMA", "RPAR"}),
        "separate arguments with `,`",
    ),
    StandIn(
        ";",
        ",",
        "COMMA",
        frozenset({"COMMA", "RSQB"}),
        "separate the items of a list with `,`",
    ),
)

ENDS = ("NEWLINE", "SEMICOLON", "RBRACE", "COMMA", "$END")


def stand_in(trouble: Trouble) -> StandIn | None:
    """Returns what was meant by the token that was not accepted, if that is clear."""
    if thousands(trouble) or lacks_length(trouble) or has_second_value(trouble):
        return None
    rows = (row for row in STAND_INS if row.got == trouble.got)
    return next((row for row in rows if row.accepted <= trouble.accepts), None)


def thousands(trouble: Trouble) -> str | None:
    """Returns what `20,000` should have been, where that is what was written."""
    parts = trouble.tokens.items[trouble.at - 1 : trouble.at + 2]
    if [part.type for part in parts] != ["NUMBER", "COMMA", "NUMBER"]:
        return None
    apart = parts[0].end_pos != parts[1].start_pos or len(parts[2]) != 3
    return None if apart else f"{parts[0]}_{parts[2]}"


def lacks_length(trouble: Trouble) -> bool:
    """Says whether a schedule was written without `for`: `X, then Y`."""
    then, after = trouble.kinds_ahead
    return _ends_value(trouble) and then == "THEN" and after != "EQUAL"


def has_second_value(trouble: Trouble) -> bool:
    """Says whether a setting was given two values, as only a link is."""
    value, after = trouble.kinds_ahead
    is_value = value in ("NUMBER", "STRING") or (value == "NAME" and after in ENDS)
    return _ends_value(trouble) and is_value


def _ends_value(trouble: Trouble) -> bool:
    """Says whether the wrong token is a comma behind the value of a statement."""
    kinds = [token.type for token in trouble.words]
    behind = "SEMICOLON" in trouble.accepts and "EQUAL" in kinds
    return behind and trouble.got.type == "COMMA"
