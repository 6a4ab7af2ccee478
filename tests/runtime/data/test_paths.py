"""Data stay under the scheme's folder, and are regular files."""

import os
from pathlib import Path

import pytest

from diamond.runtime.data import DataError
from diamond.runtime.data.paths import find_file, find_files, fingerprint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Returns a folder with two files, beside one that is not to be read."""
    (tmp_path / "secret.txt").write_text("no")
    folder = tmp_path / "scheme"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.txt").write_text("b")
    (folder / "deep" / "a.txt").write_text("a")
    return folder


def test_patterns_find_files_in_order(root: Path) -> None:
    assert find_files(root, "*.txt") == [root / "b.txt"]
    assert find_files(root, "**/*.txt") == [root / "b.txt", root / "deep" / "a.txt"]
    assert find_file(root, "deep/a.txt") == root / "deep" / "a.txt"


@pytest.mark.parametrize("find", [find_file, find_files])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../secret.txt", "leads out"),
        ("deep/../../secret.txt", "leads out"),
        ("/etc/passwd", "leads out"),
        ("https://example.org/a.txt", "is an address"),
        ("", "no file name"),
        ("a\0b", "no file name"),
        ("absent.txt", "no file"),
        ("x" * 5000, "no file|cannot be read"),
    ],
)
def test_ways_out_are_refused(
    find: object, name: str, message: str, root: Path
) -> None:
    assert callable(find)
    with pytest.raises(DataError, match=message):
        find(root, name)


def test_links_may_lead_inside_and_not_outside(root: Path) -> None:
    (root / "inside.txt").symlink_to(root / "b.txt")
    assert find_file(root, "inside.txt").read_text() == "b"
    (root / "outside.txt").symlink_to(root.parent / "secret.txt")
    for find in (find_file, find_files):
        with pytest.raises(DataError, match=r"link to .*secret.txt, outside"):
            find(root, "outside.txt")


def test_linked_folders_may_not_lead_outside(root: Path) -> None:
    (root / "up").symlink_to(root.parent)
    with pytest.raises(DataError, match="outside"):
        find_files(root, "up/*.txt")


def test_broken_and_circular_links_are_refused(root: Path) -> None:
    (root / "broken").symlink_to(root / "absent")
    (root / "one").symlink_to(root / "two")
    (root / "two").symlink_to(root / "one")
    for name in ("broken", "one"):
        with pytest.raises(DataError):
            find_file(root, name)


def test_pipes_and_folders_are_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "pipe.txt")
    for find in (find_file, find_files):
        with pytest.raises(DataError, match="no regular file"):
            find(root, "pipe.txt")
    with pytest.raises(DataError, match="no regular file"):
        find_file(root, "deep")


def test_the_root_itself_may_be_a_link(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert find_file(link, "b.txt").read_text() == "b"


def test_a_fingerprint_sees_names_and_contents(root: Path) -> None:
    paths = find_files(root, "**/*.txt")
    prints = {fingerprint(paths, root), fingerprint(paths[:1], root)}
    paths[0].write_text("c")
    prints.add(fingerprint(paths, root))
    paths[0].rename(root / "bb.txt")
    prints.add(fingerprint([root / "bb.txt", paths[1]], root))
    assert len(prints) == 4


def test_a_large_file_is_known_by_size_and_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diamond.runtime.data.paths.READ_WHOLE", 0)
    path = root / "b.txt"
    before = fingerprint([path], root)
    assert fingerprint([path], root) == before
    os.utime(path, ns=(0, 0))
    assert fingerprint([path], root) != before
