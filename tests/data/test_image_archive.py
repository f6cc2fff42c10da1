"""A zip archive as data.images: unpacked once, never outside its folder, and never half."""

import io
import os
import struct
import zipfile

import pytest
from PIL import Image

from kdsl.data import image_archive
from kdsl.data.image_archive import unpacked
from kdsl.data.image_folder import ImageFolder
from kdsl.data.media_folder import CACHE
from kdsl.errors import KdslError
from kdsl.project.project import Project


def png(colour="red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def archive(tmp_path):
    """Makes an archive of files by name, or entries."""

    def make(files, compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / "photos.zip"
        with zipfile.ZipFile(path, "w", compression) as packed:
            for name, data in files.items():
                packed.writestr(name, data)
        return path

    return make


def names(folder):
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith(CACHE))


def test_a_project_finds_the_images_of_an_archive(write, archive, tmp_path):
    archive({"shop/a.png": png(), "退款.png": png("blue")})
    write("task.yaml", "name: t\nlabels: [{name: a}, {name: b}]\n")
    write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl, images: photos.zip}\nseed: 3\n")
    write(
        "train.jsonl", '{"text": "x", "images": ["shop/a.png"], "label": "a"}\n{"text": "y", "images": ["退款.png"]}'
    )
    project = Project.open(tmp_path, ["seed=4"])
    assert project.image_folder == tmp_path / "photos.zip.unpacked"
    assert project.config.folder == tmp_path and project.config.seed == 4
    kinds = [finding.kind for finding in project.check().findings]
    assert not {"missing-images", "no-image-folder", "unreadable-images"} & set(kinds)


def test_it_is_unpacked_once_and_again_when_it_has_changed(archive):
    folder = unpacked(archive({"a.png": png(), "b.png": png()}))
    before = (folder / "a.png").stat().st_ino
    kept = ImageFolder(folder).keep(png("green"))
    assert unpacked(folder.with_name("photos.zip")) == folder
    assert (folder / "a.png").stat().st_ino == before
    changed = archive({"a.png": png("blue")})
    os.utime(changed, ns=(1, 1))
    assert unpacked(changed) == folder
    assert names(folder) == ["a.png"]
    assert (folder / "a.png").read_bytes() == png("blue")
    assert (folder / kept).is_file()  # what was fetched or kept meanwhile is not lost
    assert [path.name for path in folder.parent.iterdir()] in (
        ["photos.zip", "photos.zip.unpacked"], ["photos.zip.unpacked", "photos.zip"]
    )  # fmt: skip


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a/../../b.png", "C:\\a.png", "..\\a.png"])
def test_a_name_that_leads_outside_is_refused_with_all_the_archive(archive, tmp_path, name):
    with pytest.raises(KdslError, match=r"photos.zip: .* leads outside the archive's folder; give a name below"):
        unpacked(archive({"good.png": png(), name: png()}))
    assert [path.name for path in tmp_path.iterdir()] == ["photos.zip"]


def test_backslashes_of_windows_are_folders(archive):
    assert names(unpacked(archive({"shop\\new\\a.png": png()}))) == ["shop/new/a.png"]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_chinese_names_without_a_mark_are_read(archive, encoding):
    path = archive({"AAAAAAAA.png": png()})
    name = "退款页面".encode(encoding) + b".png"
    data = path.read_bytes().replace(b"AAAAAAAA.png", name)
    length = struct.pack("<H", len(name))
    with zipfile.ZipFile(path) as packed:
        central = packed.start_dir + len(name) - len(b"AAAAAAAA.png")
    local = bytearray(data)
    local[26:28] = length
    local[central + 28 : central + 30] = length
    end = local.rindex(b"PK\x05\x06")
    local[end + 12 : end + 16] = struct.pack("<I", end - central)
    local[end + 16 : end + 20] = struct.pack("<I", central)
    path.write_bytes(bytes(local))
    assert names(unpacked(path)) == ["退款页面.png"]


def test_links_repetitions_and_what_systems_add_are_left_out_and_counted(archive, caplog):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    path = archive({"a.png": png(), "__MACOSX/._a.png": b"x", "._b.png": b"x", "shop/": b""})
    with zipfile.ZipFile(path, "a") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr(link, "/etc/passwd")
        packed.writestr("a.png", png("blue"))
    folder = unpacked(path)
    assert names(folder) == ["a.png"]
    assert (folder / "a.png").read_bytes() == png()
    assert "photos.zip: 1 links left out" in caplog.text
    assert "photos.zip: 1 files whose name another one has left out" in caplog.text


class TestRefused:
    def test_one_that_grows_out_of_proportion(self, archive, tmp_path, monkeypatch):
        monkeypatch.setattr(image_archive, "_ALWAYS", 1 << 16)
        with pytest.raises(KdslError, match=r"photos.zip: becomes more than 100 times larger when it is unpacked"):
            unpacked(archive({f"{n}.png": b"\0" * (1 << 20) for n in range(4)}))
        assert [path.name for path in tmp_path.iterdir()] == ["photos.zip"]

    @pytest.mark.parametrize(
        "spoil", [lambda data: data[: len(data) // 2], lambda data: b"no archive", lambda data: b""]
    )
    def test_one_that_is_damaged(self, archive, tmp_path, spoil):
        path = archive({"a.png": png() * 20})
        path.write_bytes(spoil(path.read_bytes()))
        with pytest.raises(KdslError, match=r"photos.zip: cannot be unpacked \(.*\); make the archive again"):
            unpacked(path)
        assert [path.name for path in tmp_path.iterdir()] == ["photos.zip"]

    def test_one_whose_bytes_are_not_what_it_says(self, archive, tmp_path):
        path = archive({"a.png": png() * 20}, zipfile.ZIP_STORED)
        data = bytearray(path.read_bytes())
        data[60] ^= 255
        path.write_bytes(bytes(data))
        with pytest.raises(KdslError, match=r"photos.zip: cannot be unpacked \(Bad CRC-32"):
            unpacked(path)
        assert [path.name for path in tmp_path.iterdir()] == ["photos.zip"]

    def test_a_file_where_another_one_needs_a_folder(self, archive):
        with pytest.raises(
            KdslError, match=r"photos.zip: 'a/b.png' stands where a folder or another file does; make the archi"
        ):
            unpacked(archive({"a": b"x", "a/b.png": png()}))

    def test_what_a_killed_process_left_is_taken_away(self, archive, tmp_path):
        (tmp_path / ".photos.zip.unpacked.0123456789ab").mkdir()
        unpacked(archive({"a.png": png()}))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["photos.zip", "photos.zip.unpacked"]

    def test_a_folder_that_somebody_else_made_stays(self, archive, tmp_path):
        (tmp_path / "photos.zip.unpacked").mkdir()
        (tmp_path / "photos.zip.unpacked/mine.png").write_bytes(png())
        with pytest.raises(
            KdslError, match=r"photos.zip.unpacked: is not what KDSL unpacked from photos.zip; give it"
        ):
            unpacked(archive({"a.png": png()}))
        assert names(tmp_path / "photos.zip.unpacked") == ["mine.png"]
