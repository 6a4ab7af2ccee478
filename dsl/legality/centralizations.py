"""Rules about centralization: which rules it takes, and on which sizes it works."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.legality.kinds import (
    RULES_OF_ADASUM,
    RULES_OF_GOSSIP,
    RULES_OF_MAJORITY,
    RULES_OF_SERVER,
    Terms,
    exchanges_gradients,
    is_power_of_two,
)
from diamond.dsl.legality.phases import MANNER
from diamond.dsl.legality.timeline import (
    Part,
    all_segments,
    outermost_first,
    parts_of,
    together,
)
from diamond.dsl.suggest import listed
from diamond.dsl.vocabulary.centralization import AllReduce, Gossip, ParameterServer
from diamond.dsl.vocabulary.consistency import Average, Local
from diamond.dsl.vocabulary.fields import field_of
from diamond.dsl.vocabulary.schedule import Auto
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import CONSISTENCY, word_of

POWER = "a power of two"
# Arguments of `local` that need a mean which all copies have, with their values
# under gossip.
NO_COMMON_MEAN = {
    "outer": Average(),
    "state": "keep",
    "fragments": 1,
    "delay": 0,
    "merge": 0.0,
}


def rules_fit(scheme: Scheme) -> Iterator[Finding]:
    """Each way of joining contributions takes the rules that it makes sense for."""
    for segment in all_segments(scheme, *MANNER):
        center, rule = segment.parts
        if isinstance(rule.term, Auto):
            continue
        taken = _taken(center.term)
        if taken and not isinstance(rule.term, taken[0]):
            yield _misfit(center, rule, *taken)
        elif isinstance(center.term, Gossip) and isinstance(rule.term, Local):
            yield from _plain_local(center, rule, rule.term)


def _taken(center: object) -> tuple[Terms, str, str] | None:
    """Returns the rules that a centralization takes, its name, and why no other."""
    match center:
        case ParameterServer():
            why = "a server takes gradients and holds the one model there is"
            return RULES_OF_SERVER, "parameter_server", why
        case Gossip():
            why = "neighbours mix their parameters, and no gradient is averaged"
            return RULES_OF_GOSSIP, "gossip", why
        case AllReduce(reduce="adasum"):
            why = "adasum joins gradients of one step, or displacements of one meeting"
            return RULES_OF_ADASUM, "reduce = adasum", why
        case AllReduce(reduce="majority"):
            why = "a vote is taken on the gradients of one step"
            return RULES_OF_MAJORITY, "reduce = majority", why
    return None


def _misfit(center: Part, rule: Part, taken: Terms, name: str, why: str) -> Finding:
    words = listed(row.name for row in CONSISTENCY if row.term in taken)
    return Finding(
        "D054",
        f"`{word_of(rule.term)}` over `{rule.axis}` does not go with `{name}`: {why}",
        rule.path,
        expected=words,
        help=f"change one of the two: `allreduce` takes `{word_of(rule.term)}`",
        labels=((_named(center), f"`{name}` here"),),
    )


def _named(center: Part) -> Path:
    """Returns the place of what decides: the argument `reduce`, or the whole term."""
    reduced = isinstance(center.term, AllReduce)
    return (*center.path, "reduce") if reduced else center.path


def _plain_local(center: Part, rule: Part, term: Local) -> Iterator[Finding]:
    for name, plain in NO_COMMON_MEAN.items():
        if getattr(term, name) != plain:
            field = field_of(Local, name)
            assert field is not None
            yield Finding(
                "D054",
                f"`{name}` of `local` over `{rule.axis}` does not go with `gossip`: "
                "neighbours mix, and no copy has the mean of all that it would act on",
                (*rule.path, name),
                expected=f"no `{name}`",
                help="leave it out, or use `allreduce`",
                labels=((center.path, "`gossip` here"),),
            )


def sizes_fit(scheme: Scheme) -> Iterator[Finding]:
    """The number of members is one that the centralization works for."""
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    for replicas in outermost_first(scheme):
        for part in parts_of(replicas, "centralization"):
            yield from _size(part, sizes[replicas.axis])


def _size(part: Part, size: int) -> Iterator[Finding]:
    match part.term:
        case AllReduce(reduce="adasum") if not is_power_of_two(size):
            why = "adasum joins members in pairs, then pairs of pairs"
            yield _wrong_size(part, "reduce", "adasum", size, POWER, why)
        case AllReduce(algorithm="tree") if not is_power_of_two(size):
            why = "at each level a member doubles its reach"
            yield _wrong_size(part, "algorithm", "tree", size, POWER, why)
        case Gossip(topology="hypercube") if not is_power_of_two(size):
            why = "each member has one neighbour a dimension"
            yield _wrong_size(part, "topology", "hypercube", size, POWER, why)
        case Gossip(topology="pairs") if size % 2 and size > 1:
            why = "in each round every member has a partner"
            yield _wrong_size(part, "topology", "pairs", size, "an even number", why)
        case ParameterServer(shards, backup):
            yield from _too_many(part, "shards", shards or 1, size, size)
            yield from _too_many(part, "backup", backup, size - 1, size)


def _wrong_size(
    part: Part, name: str, word: str, size: int, wanted: str, why: str
) -> Finding:
    near = 1 << size.bit_length() if wanted == POWER else size + 1
    return Finding(
        "D057",
        f"`{name} = {word}` over `{part.axis}` does not work for {size} members: {why}",
        (*part.path, name),
        expected=f"{wanted} of members, such as {near}",
        help=f"change the size of `{part.axis}`, or take another `{name}`",
        labels=((("mesh", part.axis), f"{size} members"),),
    )


def _too_many(
    part: Part, name: str, count: int, most: int, size: int
) -> Iterator[Finding]:
    if count > most:
        left = "one member at least must be in time" if name == "backup" else None
        yield Finding(
            "D057",
            f"`{name} = {count}` is more than the {size} members over `{part.axis}` "
            "allow",
            (*part.path, name),
            expected=f"at most {most}",
            help=left or "a member owns one shard, so there are no more than members",
            labels=((("mesh", part.axis), f"{size} members"),),
        )


def servers_outermost(scheme: Scheme) -> Iterator[Finding]:
    """Outside a parameter server nothing exchanges gradients any more."""
    for outer, inner in together(scheme, *MANNER):
        center, rule = outer.parts
        server = inner.parts[0]
        gradients = exchanges_gradients(center.term, rule.term)
        if gradients and isinstance(server.term, ParameterServer):
            yield Finding(
                "D081",
                f"`{outer.axis}` exchanges gradients, and `{inner.axis}`, inside it, "
                "has a parameter server, which turns them into an update at once",
                rule.path,
                expected=f"`{outer.axis}` to exchange parameters, as `local` does",
                help="swap the two axes in `mesh`, or use `allreduce` inside",
                labels=((server.path, f"`{server.axis}` has a server here"),),
            )
