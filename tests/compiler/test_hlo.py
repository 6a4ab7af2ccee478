"""Reading collectives: every way in which HLO writes groups and operands."""

import pytest

from diamond.compiler.hlo import collectives_of
from diamond.compiler.plan import Message

AXES = {"site": 2, "chip": 4}
META = 'metadata={op_name="jit(step)/shard_map/diamond:chip.gradients/psum"}'


@pytest.mark.parametrize(
    ("groups", "axes"),
    [
        ("replica_groups={{0,1,2,3},{4,5,6,7}}", ("chip",)),
        ("replica_groups={{0,4},{1,5},{2,6},{3,7}}", ("site",)),
        ("replica_groups={{0,1,2,3,4,5,6,7}}", ("site", "chip")),
        ("replica_groups={}", ("site", "chip")),
        ("replica_groups=[2,4]<=[8]", ("chip",)),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", ("site",)),
        ("replica_groups=mesh['site'=2,'chip'=4] {'chip'}", ("chip",)),
        ("replica_groups=mesh['site'=2,'chip'=4] {'site','chip'}", ("site", "chip")),
        ("replica_groups=mesh['axis_0'=2,'axis_1'=4] {'axis_1'}", ("chip",)),
        ("replica_groups=mesh['axis_0'=8] {'axis_0'}", ("site", "chip")),
    ],
)
def test_groups_name_the_axes_they_cross(groups: str, axes: tuple[str, ...]) -> None:
    line = f"%r = f32[8]{{0}} all-reduce(%p), channel_id=1, {groups}, {META}"
    [found] = collectives_of(line, AXES)
    assert found.axes == axes
    assert found.exchange == "chip.gradients"


CHIP = "replica_groups={{0,1,2,3},{4,5,6,7}}"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("f32[2,3]{1,0} all-reduce(%p)", [Message("all-reduce", "f32", 6)]),
        (
            "(f32[2]{0}, f32[]) all-reduce(%p, %q)",
            [Message("all-reduce", "f32", 2), Message("all-reduce", "f32", 1)],
        ),
        ("s8[4,10]{1,0} all-gather(%p)", [Message("all-gather", "s8", 10)]),
        (
            "(s8[1,5]{1,0}, s8[1,5]{1,0}) all-to-all(%p, %q)",
            [Message("all-to-all", "s8", 5), Message("all-to-all", "s8", 5)],
        ),
        ("f32[3]{0} reduce-scatter(%p)", [Message("reduce-scatter", "f32", 12)]),
        (
            "(s8[10]{0}, s8[4,10]{1,0}) all-gather-start(%p)",
            [Message("all-gather", "s8", 10)],
        ),
        ("f32[6]{0} all-reduce-start(%p)", [Message("all-reduce", "f32", 6)]),
    ],
)
def test_operands_are_what_one_device_puts_in(
    text: str, messages: list[Message]
) -> None:
    [found] = collectives_of(f"%r = {text}, {CHIP}", AXES)
    assert list(found.messages) == messages
    assert found.exchange is None


def test_what_is_no_collective_or_crosses_nothing_is_left_out() -> None:
    text = "\n".join(
        [
            "%a = f32[8]{0} add(%p, %q)",
            "%b = f32[8]{0} all-reduce-done(%s)",
            "%c = f32[8]{0} all-reduce(%p), replica_groups={{0},{1},{2},{3}}",
        ]
    )
    assert collectives_of(text, AXES) == ()


@pytest.mark.parametrize(
    ("pairs", "axes"),
    [
        ("{{0,1},{1,2},{2,3},{3,0},{4,5},{5,6},{6,7},{7,4}}", ("chip",)),
        ("{{0,1},{1,0},{4,5},{5,4}}", ("chip",)),
        ("{{0,4},{1,5},{2,6},{3,7}}", ("site",)),
        ("{{0,5},{4,1},{1,4},{5,0}}", ("site", "chip")),
        ("{{0,1},{1,2},{2,3},{3,0}}", ("part of chip",)),
        ("{{0,1},{1,0},{4,6},{6,4}}", ("part of chip",)),
        ("{{0,4},{1,5}}", ("part of site",)),
        ("{{0,0},{1,1}}", ()),
    ],
)
def test_permutes_name_the_axes_of_their_pairs(
    pairs: str, axes: tuple[str, ...]
) -> None:
    line = f"%r = f32[8]{{0}} collective-permute(%p), source_target_pairs={pairs}"
    found = collectives_of(f"{line}, {META}", AXES)
    assert tuple(name for each in found for name in each.axes) == axes


@pytest.mark.parametrize(
    "result",
    [
        "f32[2,3]{1,0} collective-permute(%p)",
        "(f32[2,3]{1,0}, f32[2,3]{1,0}) collective-permute-start(%p)",
        "(f32[6]{0}, f32[6]{0}, u32[], u32[]) collective-permute-start(%p)",
    ],
)
def test_a_permute_puts_in_what_it_gets(result: str) -> None:
    pairs = "source_target_pairs={{0,4},{1,5},{2,6},{3,7}}"
    [found] = collectives_of(f"%r = {result}, {pairs}", AXES)
    sent = Message("collective-permute", "f32", 6, pairs=((0, 1),))
    assert found.messages == (sent,)


@pytest.mark.parametrize(
    "groups",
    [
        "replica_groups={{0,1},{2,3},{4,5},{6,7}}",
        "replica_groups={{0,1,2,3}}",
        "replica_groups=[4,2]<=[8]",
        "replica_groups=mesh['site'=2,'chip'=4] {'chip':(1)2}",
    ],
)
def test_a_group_that_is_not_a_whole_axis_is_marked(groups: str) -> None:
    [found] = collectives_of(f"%r = f32[8]{{0}} all-reduce(%p), {groups}", AXES)
    assert found.axes == ("part of chip",)


@pytest.mark.parametrize(
    "groups",
    [
        "mesh['axis_0'=2,'axis_1'=4] {'axis_1':(1)2}",
        "mesh['axis_0'=2] {'axis_0'}",
        "mesh['axis_0'=8] {'axis_1'}",
    ],
)
def test_a_mesh_of_the_compilers_own_that_is_not_understood_is_marked(
    groups: str,
) -> None:
    line = f"%r = f32[8]{{0}} all-reduce(%p), replica_groups={groups}"
    [found] = collectives_of(line, AXES)
    assert found.axes == ("part of site x chip",)


@pytest.mark.parametrize("kind", ["collective-broadcast", "ragged-all-to-all", "send"])
def test_kinds_that_no_plan_has_are_seen(kind: str) -> None:
    [found] = collectives_of(f"%r = f32[8]{{0}} {kind}(%p), {CHIP}", AXES)
    assert found.messages[0].kind == kind


LOOP = """
%body.1 (p: f32[8]) -> f32[8] {
  %c = f32[8]{0} call(%p), to_apply=%inner.2
}
%inner.2 (p: f32[8]) -> f32[8] {
  %r = f32[8]{0} all-reduce(%p), replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%add
}
%once.3 (p: f32[8]) -> f32[8] {
  %r = f32[8]{0} all-reduce(%p), replica_groups={{0,4},{1,5},{2,6},{3,7}}, to_apply=%add
}
ENTRY %main (p: f32[8]) -> f32[8] {
  %w = f32[8]{0} while(%p), condition=%cond.4, body=%body.1
  %o = f32[8]{0} call(%w), to_apply=%once.3
}
"""


def test_a_collective_in_a_loop_is_marked_at_any_depth() -> None:
    found = {each.axes for each in collectives_of(LOOP, AXES)}
    assert found == {("a loop over chip",), ("site",)}


def test_a_collective_in_a_loop_of_known_length_is_counted() -> None:
    known = 'backend_config={"known_trip_count":{"n":"5"}}'
    text = LOOP.replace("body=%body.1", f"body=%body.1, {known}")
    times = {each.axes: each.times for each in collectives_of(text, AXES)}
    assert times == {("chip",): 5, ("site",): 1}
