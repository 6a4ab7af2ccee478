"""The forms of blocks: their words, their heads, and the statements they take."""

from typing import TypeVar

from diamond.dsl import syntax
from diamond.dsl.check_context import Context, Path
from diamond.dsl.check_names import home_of
from diamond.dsl.suggest import did_you_mean, listed, shorten
from diamond.dsl.vocabulary.blocks import BLOCKS, BlockForm, form_named

Node = TypeVar("Node", syntax.Setting, syntax.LinkSetting, syntax.StrategySetting)

# What each body takes, and how its statements look.
BODIES: dict[str, tuple[type, str]] = {
    "settings": (syntax.Setting, "settings, `name = value`"),
    "axes": (syntax.Setting, "axes with their sizes, `site = 2`"),
    "links": (syntax.LinkSetting, "links, `link site = 1 Gbit/s, 30 ms`"),
    "strategies": (
        syntax.StrategySetting,
        'strategies, `tensor over chip`, and rules, `shard "*/kernel" (embed, mlp)`',
    ),
}


def form_of(block: syntax.Block, ctx: Context) -> BlockForm | None:
    """Returns the form of a block, or reports that there is none."""
    form = form_named(block.word.text)
    if form is None and block.word.text:  # the parser reports a brace without a word
        _unknown_block(block, ctx)
    return form


def _unknown_block(block: syntax.Block, ctx: Context) -> None:
    words = [form.word for form in BLOCKS]
    ctx.report(
        "D020",
        f"there is no block `{shorten(block.word.text)}`",
        block.word.span,
        expected=listed(words),
        help=did_you_mean(block.word.text, words) or home_of(block.word.text),
    )


def head_fits(block: syntax.Block, form: BlockForm, ctx: Context) -> bool:
    """Says whether a block has the head of its form, or reports that it has not."""
    has = {"term": block.label, "axis": block.over}
    extra = [name for head, name in has.items() if name and head != form.head]
    lacks = form.head != "nothing" and has[form.head] is None
    if not extra and not lacks:
        return True
    takes = {
        "term": f"the name of a {form.word}",
        "axis": "`over` and the name of an axis",
        "nothing": "nothing",
    }[form.head]
    message = f"`{form.word}` needs {takes} before its brace"
    if extra:
        message = f"`{form.word}` takes {takes} before its brace, not `{extra[0].text}`"
    span = extra[0].span if extra else block.word.span
    ctx.report("D038", message, span, expected=f"a block such as `{form.example}`")
    return False


def block_path(block: syntax.Block) -> Path:
    """Returns the path of what a block declares."""
    return (block.word.text, *([block.over.text] if block.over else []))


def only(
    kind: type[Node],
    block: syntax.Block,
    form: BlockForm,
    ctx: Context,
    beside: type | None = None,
) -> list[Node]:
    """Returns the statements of a kind; reports those that do not belong in a block.

    Args:
        kind: The kind.
        block: The block.
        form: Its form.
        ctx: Where to report.
        beside: A kind that may stand beside them, if there is one.
    """
    fitting = []
    for statement in block.statements:
        if isinstance(statement, kind):
            fitting.append(statement)
        elif not (beside and isinstance(statement, beside)) and not (
            isinstance(statement, syntax.Include) and form.head == "axis"
        ):
            _misplaced(statement, form, ctx)
            ctx.holes.add(block_path(block))
    return fitting


def _misplaced(statement: syntax.Statement, form: BlockForm, ctx: Context) -> None:
    ctx.report(
        "D039",
        f"this statement does not belong in `{form.word}`",
        statement.span,
        expected=BODIES[form.body][1],
        help=_home(statement, form),
    )


def _home(statement: syntax.Statement, form: BlockForm) -> str | None:
    match statement:
        case syntax.Include():
            return "`include` stands in `replicas over`"
        case syntax.LinkSetting():
            return "links stand in `hardware`"
        case syntax.StrategySetting():
            return "strategies stand in `parallelism`"
        case syntax.ShardRule():
            return "`shard` stands in `parallelism`"
        case syntax.Setting(name, syntax.Name(word)) if form.body == "strategies":
            return f"write `{word} over {name.text}`"
        case syntax.Setting(name, syntax.CallNode(word)) if form.body == "strategies":
            return f"write `{word.text}(...) over {name.text}`"
        case syntax.Setting(name) if form.body == "links":
            return f"write `link {name.text} = ...`"
    return None
