"""Data files that are compressed: read on the way, bounded, and every other kind of file told by its name."""

import bz2
import gzip
import io
import lzma
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.unpacking import open_unpacked
from kdsl.errors import KdslError


def zipped(**files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return archive.getvalue()


PACK = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip in two members": lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zip": lambda data: zipped(a=data),
    "zip of a Mac": lambda data: zipped(
        **{"folder/": b"", "folder/a": data, "__MACOSX/folder/._a": b"x", "._a": b"y"}
    ),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The bytes of a file that holds `content`."""

    def read(content: bytes) -> bytes:
        path = tmp_path_factory.getbasetemp() / "packed"
        path.write_bytes(content)
        with open_unpacked(path) as file:
            return b"".join(file)

    return read


@given(st.sampled_from(list(PACK)), st.binary(max_size=300).map(lambda rest: b"{" + rest))
def test_what_was_packed_comes_out_whatever_the_file_is_called(read, how, content):
    assert read(PACK[how](content)) == content


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped(a=data)])
@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: data[:20] + b"?" * 20 + data[40:]]
)
def test_a_damaged_archive_is_one_sentence(read, pack, damage):
    with pytest.raises(KdslError, match=r"packed: cannot be unpacked \(.+\); make the archive again"):
        read(damage(pack(os.urandom(500))))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped(a=data)])
def test_what_would_fill_the_memory_is_not_unpacked(read, pack, monkeypatch):
    monkeypatch.setattr("kdsl.data.unpacking._ALWAYS", 10_000)
    assert len(read(pack(b" " * 9_999))) == 9_999
    with pytest.raises(
        KdslError, match=r"becomes more than 100 times larger .*; unpack it yourself if it holds samples"
    ):
        read(pack(b" " * 1_000_000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(a=b"{}", b=b"{}"), "is an archive of 2 files, none of which may hold samples; give the one that does"),
        (
            zipped(**{"a.csv": b"", "b.json": b"{}", "c.png": b""}),
            "is an archive of 3 files, 2 of which may hold samples: a.csv, b.json; give the one that does",
        ),
        (zipped(), "is an archive of 0 files"),
        (
            zipped(**{"[Content_Types].xml": b"", "word/document.xml": b""}),
            "is a document without sheets; give a table: .xlsx, .ods or CSV",
        ),
        (zipped(a=zipped(b=b"{}")), "holds an archive; give the file of samples that is in it"),
        (
            gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0),
            "holds an archive; give the file of samples that is in it",
        ),
        (gzip.compress(bytes(257) + b"ustar" + bytes(250), mtime=0), "holds an archive"),
        (bytes(257) + b"ustar" + bytes(250), "is an archive"),
        (b"\x28\xb5\x2f\xfd....", "is a zstd file; unpack it first"),
        (b"SQLite format 3\0", "is a SQLite file; export its table as CSV"),
        (b"\x89PNG\r\n", "is a PNG file; give the file of samples that names the image"),
    ],
)
def test_another_kind_of_file_is_told_with_what_to_do(read, content, message):
    with pytest.raises(KdslError, match=f"packed: {message}"):
        read(content)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KdslError, match="is a pipe, not a file; give the name of a file"):
        open_unpacked(tmp_path / "pipe").__enter__()
