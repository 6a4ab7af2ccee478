"""Which codecs go with `zero`, and what is said of them."""

import pytest

from diamond.dsl.emit import emit
from diamond.dsl.legality.rules import legality
from diamond.dsl.legality.scattering import tensors_reached
from diamond.dsl.load import load_text
from diamond.dsl.vocabulary import (
    FAMILIES,
    Axis,
    Cast,
    Digits,
    Int4,
    Int8,
    Mlp,
    NoCompression,
    Parallel,
    Qsgd,
    Scheduled,
    Scheme,
    Sign,
    Zero,
)

CODES_BLOCKS = (Cast(), Int8(), Int4(), Qsgd(), Sign())
TERMS = [row.term() for row in FAMILIES["compression"]]
OTHERS = [t for t in TERMS if type(t) not in {NoCompression, *map(type, CODES_BLOCKS)}]


def laid(codec: object, size: int = 4) -> Scheme:
    parallel = Parallel(Zero(2, codec), "host")  # type: ignore[arg-type]
    return Scheme(
        "s", Mlp(), Digits(), mesh=(Axis("host", size),), parallelism=(parallel,)
    )


def found(codec: object, size: int = 4) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.code, one.path[2:]) for one in legality(laid(codec, size))]


@pytest.mark.parametrize("codec", [NoCompression(), *CODES_BLOCKS], ids=str)
def test_codes_of_blocks_are_taken(codec: object) -> None:
    assert found(codec) == []


@pytest.mark.parametrize("codec", OTHERS, ids=str)
def test_all_other_codes_are_refused_with_a_way_out(codec: object) -> None:
    assert ("D120", ("compression",)) in found(codec)
    [finding] = [one for one in legality(laid(codec)) if one.code == "D120"]
    assert finding.expected == "`cast`, `int8`, `int4`, `qsgd` or `sign`"
    assert finding.labels[0][0] == ("parallelism", "host")


def test_what_is_rounded_away_for_good_is_warned_of() -> None:
    warned = [("D061", ("compression", "feedback"))]
    for codec in (Int8(feedback=False), Int4(feedback=False), Sign(feedback=False)):
        assert found(codec) == warned
    assert found(Cast(feedback=False)) == []


def test_a_codec_over_one_device_has_no_effect() -> None:
    assert found(Int8(), size=1) == [("D066", ("compression",))]
    assert found(NoCompression(), size=1) == []


def test_a_codec_that_reaches_no_tensor() -> None:
    assert [one.code for one in tensors_reached(laid(Int8()), 0)] == ["D122"]
    assert not list(tensors_reached(laid(Int8()), 1))
    assert not list(tensors_reached(laid(Int8(), size=1), 0))
    assert not list(tensors_reached(laid(NoCompression()), 0))


def test_a_strategy_with_a_codec_is_written_and_read() -> None:
    scheme = laid(Int8(block=128, exclude=("*/bias",)))
    text = emit(scheme)
    assert 'zero(stage = 2, compression = int8(block = 128, exclude = ["*/bias"]))' in (
        text
    )
    assert load_text(text) == (scheme, ())
    again, _ = load_text(text, overrides=["parallelism.host.compression.block=64"])
    assert again == laid(Int8(block=64, exclude=("*/bias",)))


def test_a_codec_of_a_strategy_is_not_scheduled() -> None:
    with pytest.raises(ValueError, match="cannot be scheduled"):
        Zero(2, Scheduled(((NoCompression(), 5), (Int8(), None))))  # type: ignore[arg-type]
