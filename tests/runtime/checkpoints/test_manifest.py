import dataclasses

import pytest

from diamond.runtime.checkpoints import manifest
from diamond.runtime.checkpoints.manifest import (
    Damaged,
    FileRecord,
    LeafRecord,
    Manifest,
)

CONTENT = Manifest(
    step=7,
    meta={"fields": {"model": "mlp(width = 8)"}, "mesh": {"host": 2}},
    leaves=(LeafRecord("params/head/kernel", "float32", (8, 10)),),
    files=(FileRecord("state/d/0", 12, "ab" * 32),),
)


@pytest.fixture
def folder(tmp_path):
    manifest.write_manifest(CONTENT, tmp_path)
    return tmp_path


def test_a_manifest_reads_back_equal(folder):
    assert manifest.read_manifest(folder) == CONTENT
    assert [each.name for each in folder.iterdir()] == ["MANIFEST.json"]


def test_a_flipped_bit_in_any_byte_of_a_manifest_is_found(folder):
    path = folder / "MANIFEST.json"
    data = path.read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(Damaged):
            manifest.read_manifest(folder)


def test_a_manifest_that_was_written_anew_by_hand_is_refused(folder):
    path = folder / "MANIFEST.json"
    path.write_text(path.read_text().replace('"step": 7', '"step": 8'))
    with pytest.raises(Damaged, match=r"MANIFEST\.json: the manifest is not what"):
        manifest.read_manifest(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "state/../../secret"])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(folder, name):
    strange = dataclasses.replace(CONTENT, files=(FileRecord(name, 1, "00" * 32),))
    with pytest.raises(Damaged, match="outside the checkpoint"):
        manifest.check_files(strange, folder)


def test_a_file_that_is_missing_is_named(folder):
    with pytest.raises(Damaged, match="state/d/0: no such file"):
        manifest.check_files(CONTENT, folder)
