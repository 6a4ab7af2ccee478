"""The paths of overrides: what they end at, and which end in a name."""

from collections.abc import Iterator

from diamond.dsl import syntax
from diamond.dsl.edit_value import argument_of
from diamond.dsl.suggest import OTHER_WORDS, listed
from diamond.dsl.vocabulary.blocks import form_named
from diamond.dsl.vocabulary.fields import Field, field_of
from diamond.dsl.vocabulary.optimizers import OPTIMIZERS
from diamond.dsl.vocabulary.scheme import Train

MOST_SHOWN = 3


def setting_of(block: syntax.Block, name: str) -> Field | None:
    """Returns what a setting of a block takes, if the block has it."""
    if block.label is not None:
        return argument_of(block.label.text, name, block.word.text)
    form = form_named(block.word.text)
    return field_of(form.term, name) if form and form.term else None


def takes_text(file: syntax.File, path: tuple[syntax.Name, ...]) -> bool:
    """Whether a path ends at a string in quotes: of a setting, or of a constant."""
    word, *rest = (name.text for name in path)
    if not rest:
        return any(_is_string(item, word) for item in file.items)
    blocks = [block for block in _blocks(file) if block.word.text == word]
    if not blocks or len(rest) != 1:
        return False
    field = setting_of(blocks[0], rest[0])
    return field is not None and str in field.kinds and not field.meaning.choices


def _is_string(item: syntax.Let | syntax.Block, name: str) -> bool:
    match item:
        case syntax.Let(syntax.Name(text), syntax.String()):
            return text == name
    return False


def path_meant(file: syntax.File, word: str) -> str | None:
    """Returns the help line for a name without its path, if a path ends in it.

    Example:
        >>> from diamond.dsl.parser import parse
        >>> from diamond.dsl.source import Source
        >>> path_meant(parse(Source("a", "mesh { site = 2 }"))[0], "site")
        'did you mean `mesh.site`?'
    """
    for name in (word, OTHER_WORDS.get(word.lower(), word)):
        paths = list(_paths_to(file, name)) or _of_optimizer(name)
        if paths:
            return f"did you mean {listed(paths[:MOST_SHOWN])}?"
    return None


def _blocks(file: syntax.File) -> list[syntax.Block]:
    return [item for item in file.items if isinstance(item, syntax.Block)]


def _paths_to(file: syntax.File, name: str) -> Iterator[str]:
    blocks = _blocks(file)
    for block in blocks:
        head = [block.word.text, *([block.over.text] if block.over else [])]
        if setting_of(block, name) or name in _axes(block):
            yield ".".join([*head, name])
    if field_of(Train, name) and all(block.word.text != "train" for block in blocks):
        yield f"train.{name}"


def _axes(block: syntax.Block) -> Iterator[str]:
    for statement in block.statements:
        match statement:
            case syntax.LinkSetting(axis) | syntax.StrategySetting(_, axis):
                yield axis.text
            case syntax.Setting(axis) if block.word.text == "mesh":
                yield axis.text


def _of_optimizer(name: str) -> list[str]:
    takes = any(signature.parameter(name) for signature in OPTIMIZERS)
    return [f"train.optimizer.{name}"] if takes else []
