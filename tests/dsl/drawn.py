"""Strategies that draw terms and schemes from the vocabulary's own declarations."""

import dataclasses
from typing import Any

from hypothesis import strategies as st

from diamond.dsl.legality import legality
from diamond.dsl.vocabulary import (
    FAMILIES,
    AllReduce,
    Axis,
    Call,
    ConvNet,
    Digits,
    Link,
    Local,
    Mlp,
    Replicas,
    Row,
    Scheduled,
    Scheme,
    Synchronous,
    Text,
    Train,
    Transformer,
)
from diamond.dsl.vocabulary.fields import Field, fields_of

KEYWORDS = ("over", "for", "then", "scheme", "steps", "true", "auto", "mesh")
NAMES = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
    st.sampled_from(KEYWORDS),
)
TEXTS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=9)
RATES = st.floats(1e-9, 1.0) | st.builds(
    lambda value: Call("constant_schedule", (("value", value),)), st.floats(1e-9, 1.0)
)


def values(field: Field) -> st.SearchStrategy[Any]:
    """Draws a value that an argument of the language takes."""
    meaning = field.meaning
    if not meaning.built:
        return st.just(field.default)
    if meaning.family:
        return members(meaning.family)
    if meaning.choices:
        return st.sampled_from(meaning.choices)
    if field.item is not None:
        return st.lists(values(field.item), max_size=3).map(tuple)
    if bool in field.kinds:
        return st.booleans()
    if str in field.kinds:
        return TEXTS.map(lambda text: text.replace('"', ""))
    if meaning.numbers:
        return st.sampled_from(meaning.numbers)
    low, high = meaning.minimum, meaning.maximum
    if meaning.multiple is not None:
        return st.integers(1, 2**20).map(lambda times: times * meaning.multiple)
    if float in field.kinds:
        above = meaning.above is not None
        low = meaning.above if above else low
        return st.floats(
            low, high, exclude_min=above, allow_nan=False, allow_infinity=False
        )
    return st.integers(int(low or 0), 2**40 if high is None else int(high))


def members(family: str) -> st.SearchStrategy[Any]:
    """Draws a member of a family that is built."""
    rows = [row for row in FAMILIES[family] if row.built]
    return st.sampled_from(rows).flatmap(terms)


def terms(row: Row) -> st.SearchStrategy[Any]:
    """Draws the term of a row with arguments of its own."""
    return st.builds(row.term, **{f.name: values(f) for f in fields_of(row.term)})


@st.composite
def schedules(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> Any:
    """Draws a value, or a schedule of values."""
    lengths = draw(st.lists(st.integers(1, 50), max_size=3))
    phases = [(draw(items), length) for length in (*lengths, None)]
    return Scheduled(tuple(phases)) if lengths else phases[0][0]


@st.composite
def rules(draw: st.DrawFn) -> Any:
    """Draws a consistency, whose phases end with a meeting where they have any."""
    phases: list[tuple[Any, int | None]] = []
    for _ in range(draw(st.integers(1, 3))):
        rule = draw(streams() | members("consistency"))
        every = getattr(rule, "every", 1)
        phases.append((rule, every * draw(st.integers(1, 9))))
    phases[-1] = (phases[-1][0], None)
    return Scheduled(tuple(phases)) if len(phases) > 1 else phases[0][0]


@st.composite
def streams(draw: st.DrawFn) -> Local:
    """Draws a `local` whose arguments fit each other."""
    fragments, turn = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    return Local(
        every=fragments * turn,
        outer=draw(members("outer")),
        fragments=draw(st.just(fragments)),
        delay=draw(st.integers(0, turn - 1)),
        merge=draw(st.just(0.0) | st.floats(0.0, 1.0)),
    )


@st.composite
def copies(draw: st.DrawFn, name: str) -> Replicas:
    """Draws replicas over an axis, legal or not."""
    plain = st.just(AllReduce())
    return Replicas(
        name,
        centralization=draw(plain | schedules(plain | members("centralization"))),
        consistency=draw(st.just(Synchronous()) | rules()),
        compression=draw(schedules(members("compression"))),
    )


def is_legal(scheme: Scheme) -> bool:
    return all(found.severity != "error" for found in legality(scheme))


def trains(*, blocks: bool) -> st.SearchStrategy[Train]:
    """Draws a `train` block, for a model with blocks or without."""
    optimizers = st.builds(
        lambda rate, decay: Call("adamw", (("lr", rate), ("weight_decay", decay))),
        RATES,
        st.floats(0.0, 1.0),
    )
    fields = {f.name: values(f) for f in fields_of(Train) if not f.meaning.family}
    fields["accumulate"] = st.sampled_from((1, 3))
    if not blocks:
        fields["remat"] = st.just("none")
    return st.builds(Train, optimizer=optimizers, **fields)


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    """Draws a legal scheme; an axis that makes it illegal becomes a plain one."""
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    axes = [Axis(name, draw(st.integers(1, 4))) for name in names]
    links = [draw(_links(name)) for name in names if draw(st.booleans())]
    model, data = draw(st.sampled_from(PAIRS))
    scheme = Scheme(
        draw(NAMES),
        model=model,
        data=data,
        train=draw(trains(blocks=isinstance(model, Transformer))),
        mesh=tuple(axes),
        hardware=tuple(links),
        replicas=tuple(Replicas(name) for name in names),
    )
    for place, name in enumerate(names):
        laid = list(scheme.replicas)
        laid[place] = draw(copies(name))
        changed = dataclasses.replace(scheme, replicas=tuple(laid))
        scheme = changed if is_legal(changed) else scheme
    shuffled = draw(st.permutations(scheme.replicas))
    return dataclasses.replace(scheme, replicas=tuple(shuffled))


PAIRS = (
    (None, None),
    (Mlp(width=3), Digits(batch=5184, held_out=0.3)),
    (ConvNet(stages=3), Digits(batch=5184)),
    (
        Transformer(width=12, heads=2, expansion=8 / 3),
        Text(batch=5184, files="a/*.txt"),
    ),
)


def _links(name: str) -> st.SearchStrategy[Link]:
    bandwidths = st.floats(1.0, 1e13) | st.sampled_from((1e9, 4e11, 2.5e9))
    return st.builds(Link, st.just(name), bandwidths, st.floats(0.0, 10.0))
