import os
import socket

import pytest

from diamond.dsl.diagnostics import Diagnostic, SchemeError
from diamond.dsl.reading import read_source
from diamond.dsl.source import Span


def refusal(path: object) -> Diagnostic:
    with pytest.raises(SchemeError) as caught:
        read_source(path)  # type: ignore[arg-type]
    (found,) = caught.value.diagnostics
    assert caught.value.source is not None
    assert caught.value.source.name == os.fspath(path)
    return found


def test_reads_text(tmp_path):
    path = tmp_path / "a.diamond"
    path.write_bytes("# é\r\nlet x = 1\n".encode())
    source = read_source(path)
    assert (source.name, source.text) == (str(path), "# é\r\nlet x = 1\n")


def test_leaves_out_the_mark_of_byte_order(tmp_path):
    path = tmp_path / "a.diamond"
    path.write_bytes(b"\xef\xbb\xbflet x = 1")
    assert read_source(path).text == "let x = 1"


def test_refuses_what_is_not_there(tmp_path):
    path = tmp_path / "a.diamond"
    found = refusal(path)
    assert found.code == "D001"
    assert found.message == f"cannot read `{path}`: no such file or directory"


def test_refuses_a_directory(tmp_path):
    assert refusal(tmp_path).message.endswith(": it is a directory")


def test_refuses_a_named_pipe_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").message.endswith(": it is a named pipe")


def test_refuses_a_device():
    assert refusal("/dev/zero").message.endswith(": it is a device")


def test_refuses_a_socket(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert refusal(tmp_path / "socket").code == "D001"


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_refuses_an_impossible_path(path):
    assert refusal(path).code == "D001"


def test_refuses_a_large_file(tmp_path):
    path = tmp_path / "a.diamond"
    path.write_bytes(b"#" * (2**20 + 1))
    assert refusal(path).code == "D002"
    path.write_bytes(b"#" * 2**20)
    assert len(read_source(path).text) == 2**20


def test_shows_the_byte_that_is_not_utf_8(tmp_path):
    path = tmp_path / "a.diamond"
    path.write_bytes("# é\n".encode() + b"let \xff = 1")
    found = refusal(path)
    assert (found.code, found.span) == ("D003", Span(8, 9))
    assert found.message == "byte 0xFF is not UTF-8"
