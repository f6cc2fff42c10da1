"""Absolute paths, addresses, Label Studio's uploads and pictures in the data become files below data.images."""

import base64
import io
import json
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kdsl.data.forms import Reading
from kdsl.data.given import samples_given
from kdsl.data.image_folder import ImageFolder, is_image
from kdsl.data.images import image_facts
from kdsl.data.media import IMAGES
from kdsl.data.media_folder import CACHE, NoMedium, bytes_of_text, bytes_of_url
from kdsl.data.notes import Notes
from kdsl.data.readers import read_samples
from kdsl.data.record import Folders, Record
from kdsl.data.record_media import file_in
from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.sample import Label, Task

TASK = Task("t", (Label("a"), Label("b")))


def picture(colour="red", format="PNG", size=(8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, format)
    return file.getvalue()


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images/shop").mkdir(parents=True)
    (tmp_path / "images/shop/a.png").write_bytes(picture())
    return tmp_path / "images"


@pytest.fixture
def read(write, folder):
    """The samples of records, with images below the folder, and what was noted."""

    def read_records(*records):
        notes = Notes()
        path = write("data.jsonl", "\n".join(json.dumps({"text": "x", **record}) for record in records))
        return read_samples(path, [TASK], notes, Reading(images=ImageFolder(folder))), notes

    return read_records


class TestPaths:
    def test_an_absolute_path_inside_is_the_name_within(self, read, folder):
        given = [f"{folder}/shop/a.png", f"file://{folder}/shop/a%20b.png", f"{folder.as_uri()}/退.png"]
        [sample], _ = read({"images": given})
        assert sample.images == ("shop/a.png", "shop/a b.png", "退.png")

    def test_the_folder_may_be_named_through_a_link(self, write, folder, tmp_path):
        (tmp_path / "link").symlink_to(folder)
        path = write("data.jsonl", json.dumps({"text": "x", "images": [f"{folder}/a.png", f"{tmp_path}/link/b.png"]}))
        assert read_samples(path, [TASK], reading=Reading(images=ImageFolder(tmp_path / "link")))[0].images == (
            "a.png",
            "b.png",
        )

    @pytest.mark.parametrize("name", ["/etc/hostname", "{}/../secret.png", "{}-old/a.png", "file:///etc/a.png", "{}/"])
    def test_one_outside_is_refused(self, read, folder, name):
        with pytest.raises(
            KdslError, match=r"line 1: an image of sample '1': .*(leads outside data.images|an address)"
        ):
            read({"images": [name.format(folder)]})


class TestLabelStudio:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("/data/upload/1/a.png", "shop/a.png"),
            ("/data/upload/1/3f2a1b9c-a.png", "shop/a.png"),
            ("/data/local-files/?d=export/shop/a.png", "shop/a.png"),
            ("/data/local-files/?d=shop%2Fa.png", "shop/a.png"),
            ("http://localhost:8080/data/upload/1/a.png", "shop/a.png"),
            ("/data/upload/1/gone.png", "gone.png"),
        ],
    )
    def test_an_upload_is_found_by_its_path_or_its_name(self, read, given, name):
        [sample], _ = read({"images": [given]})
        assert sample.images == (name,)

    def test_the_whole_path_goes_before_the_name(self, read, folder):
        (folder / "1").mkdir()
        (folder / "1/a.png").write_bytes(picture("blue"))
        [sample], _ = read({"images": ["/data/upload/1/a.png"]})
        assert sample.images == ("1/a.png",)

    def test_a_name_that_several_files_have_is_none_of_them(self, read, folder):
        (folder / "new").mkdir()
        (folder / "new/a.png").write_bytes(picture("blue"))
        [sample], _ = read({"images": ["/data/upload/9/a.png"]})
        assert sample.images == ("a.png",)
        assert image_facts(folder, "a.png").problem == "missing"


class TestPicturesInTheData:
    @pytest.mark.parametrize(
        "held",
        [
            lambda data: "data:image/png;base64," + coded(data),
            lambda data: {"image_url": {"url": "data:image/png;base64," + coded(data)}},
            lambda data: {"bytes": coded(data), "path": "a.png"},
            lambda data: {"bytes": coded(data), "path": None},
            lambda data: {"source": {"type": "base64", "media_type": "image/png", "data": coded(data)}},
            lambda data: {"base64": base64.urlsafe_b64encode(data).decode().rstrip("=")},
        ],
    )
    def test_a_picture_becomes_a_file_below_the_folder(self, read, folder, held):
        [sample], notes = read({"images": [held(picture())]})
        [name] = sample.images
        assert name.startswith(f"{CACHE}/embedded/") and name.endswith(".png")
        assert (folder / name).read_bytes() == picture()
        assert image_facts(folder, name).problem is None
        assert not notes.left_out

    def test_bytes_are_a_picture_too(self, folder):
        record = Record({}, "1", "f", "line 1", Notes(), folders=Folders(ImageFolder(folder)))
        name = file_in(record, IMAGES, "image", {"bytes": picture(format="JPEG"), "path": "x.jpg"})
        assert name is not None and name.endswith(".jpg") and (folder / name).is_file()

    @pytest.mark.parametrize("mode", ["RGB", "CMYK", "RGBA", "L", "F"])
    def test_an_image_of_pillow_is_one_too(self, folder, mode):
        given = [{"text": "x", "image": Image.new(mode, (8, 6))}, {"text": "y", "images": [picture(), "shop/a.png"]}]
        [first, second] = samples_given(given, [TASK], "samples", reading=Reading(images=ImageFolder(folder)))
        assert image_facts(folder, first.images[0]).size == (8, 6)
        assert second.images[1] == "shop/a.png" and (folder / second.images[0]).read_bytes() == picture()
        with pytest.raises(KdslError, match=r"samples, item 1: image is <PIL.Image.Image"):
            samples_given(given, [TASK], "samples")

    def test_without_a_folder_bytes_are_an_error(self):
        with pytest.raises(KdslError, match=r"f, line 1: image is b'x'; it must be a file name in quotes"):
            file_in(Record({}, "1", "f", "line 1", Notes()), IMAGES, "image", b"x")

    def test_one_that_a_service_keeps_is_an_error(self, read):
        with pytest.raises(KdslError, match="is a picture itself; images must be files: give its name"):
            read({"images": [{"file_id": "file-1"}]})

    def test_a_project_finds_it_everywhere(self, write, folder, tmp_path):
        write("task.yaml", "name: t\nlabels: [{name: a}, {name: b}]\n")
        write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl, images: images}\n")
        url = "data:image/png;base64," + coded(picture())
        write("train.jsonl", json.dumps({"text": "x", "images": [url], "label": "a"}))
        project = Project.open(tmp_path)
        kinds = {finding.kind for finding in project.check().findings}
        assert not kinds & {"missing-images", "outside-images", "unreadable-images"}
        [name] = project.images()
        assert (folder / name).read_bytes() == picture()
        [again] = project.iterate_samples(write("more.jsonl", json.dumps({"text": "y", "images": [url]})))
        assert again.images == (name,)

    def test_the_same_picture_is_written_once_and_never_again(self, read, folder):
        url = "data:image/png;base64," + coded(picture())
        [first, second], _ = read({"images": [url]}, {"images": [url]})
        assert first.images == second.images
        before = (folder / first.images[0]).stat()
        assert read({"images": [url]})[0][0].images == first.images
        after = (folder / first.images[0]).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_in_a_message_it_stays_where_it_was(self, read, folder):
        part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + coded(picture())}}
        content = [{"type": "text", "text": "看"}, part]
        [sample], _ = read({"text": None, "messages": [{"role": "user", "content": content}]})
        assert sample.turns[0].text == "看"
        assert sample.turns[0].images == sample.images
        assert (folder / sample.images[0]).is_file()

    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("data:image/png;base64," + coded(b"no picture"), "are no PNG, JPEG, WebP, GIF, BMP or TIFF"),
            ("data:image/png;base64,%%%", "are not in base64"),
            ("data:image/png;base64,", "are empty"),
            ("data:image/png;base64", "hold no data"),
            ("data:image/svg+xml,<svg/>", "are no PNG"),
            ("data:image/png;base64," + coded(picture(size=(70_000, 1))), "a side of over 65535 pixels"),
            ("data:image/png;base64," + coded(picture(format="ICO", size=(16, 16))), "are no PNG"),
        ],
    )
    def test_what_is_no_picture_is_left_out_and_counted(self, read, folder, url, why):
        [sample, other], notes = read({"images": [url, "shop/a.png"]}, {"images": [url]})
        assert (sample.images, other.images) == (("shop/a.png",), ())
        [(what, noted)] = [(what, noted) for what, noted in notes.left_out.items() if "pictures" in what]
        assert what.startswith("pictures in the data left out, as they ") and why in what
        assert (noted.count, noted.first) == (2, "line 1")
        assert not (folder / CACHE).exists()

    def test_one_of_too_many_bytes_is_no_picture(self, folder, monkeypatch):
        monkeypatch.setattr("kdsl.data.image_folder.LARGEST_PICTURE", 10)
        with pytest.raises(NoMedium, match="have more than"):
            ImageFolder(folder).keep(picture())

    def test_a_cache_that_leads_out_of_the_folder_is_refused(self, read, folder, tmp_path):
        (tmp_path / "outside").mkdir()
        (folder / CACHE).symlink_to(tmp_path / "outside")
        with pytest.raises(KdslError, match="leads outside"):
            read({"images": ["data:image/png;base64," + coded(picture())]})
        assert not any((tmp_path / "outside").iterdir())

    @given(st.binary(max_size=200))
    def test_whatever_base64_holds_comes_out(self, data):
        assert bytes_of_text(coded(data)) == data
        assert bytes_of_url("data:;base64," + coded(data)) == data


class TestAddresses:
    URL = "https://img.example.com/a.png?sign=1"

    def test_one_that_was_not_fetched_is_counted_and_the_text_is_there(self, read):
        part = {"type": "image_url", "image_url": {"url": self.URL}}
        content = [{"type": "text", "text": "看"}, part]
        [plain, message], notes = read(
            {"images": [self.URL, "shop/a.png"]}, {"text": None, "messages": [{"role": "user", "content": content}]}
        )
        assert plain.turns[0].text == "x" and plain.images == ("shop/a.png",)
        assert message.turns[0].text == "看" and message.images == ()
        noted = notes.left_out["images left out that are addresses (`kdsl fetch` fetches them)"]
        assert (noted.count, noted.first) == (2, "line 1")

    @pytest.mark.parametrize(
        "record",
        [
            {"messages": [{"role": "user", "content": "<image>左<image>右"}]},
            {
                "messages": [{"role": "user", "content": "<image>左<image>右", "images": [URL, "b.png"]}],
                "images": None,
            },
            {"messages": [{"role": "user", "content": f"<img>{URL}</img>左<img>b.png</img>右"}], "images": None},
            {"turns": [{"role": "user", "text": "左右", "images": [URL, "b.png"]}], "images": None},
            {"instruction": "a b <用户与客服的对话 START>用户: <image>左<image>右<用户与客服的对话 END>"},
        ],
    )
    def test_its_mark_in_the_text_goes_with_it_and_the_next_image_keeps_its_own(self, read, record):
        [sample], notes = read({"text": None, "images": [self.URL, "b.png"]} | record)
        assert sample.turns[0].text == "左右"
        assert sample.turns[0].images == sample.images == ("b.png",)
        assert list(notes.left_out) == ["images left out that are addresses (`kdsl fetch` fetches them)"]

    def test_one_that_was_fetched_is_a_file(self, read, folder):
        name = ImageFolder(folder).keep_fetched(self.URL, picture())
        [sample], notes = read({"images": [self.URL]})
        assert sample.images == (name,)
        assert not notes.left_out

    def test_what_is_to_be_fetched_is_known_by_address(self, folder, write):
        images = ImageFolder(folder)
        record = {"text": "x", "images": [self.URL, "https://img.example.com/b.png", self.URL]}
        read_samples(write("data.jsonl", json.dumps(record)), [TASK], reading=Reading(images=images))
        assert images.unfetched == {self.URL: 2, "https://img.example.com/b.png": 1}

    def test_other_addresses_are_refused(self, read):
        with pytest.raises(KdslError, match="is an address; images must be files"):
            read({"images": ["s3://bucket/a.png"]})


def test_an_image_of_pillow_is_told_from_other_values_also_while_another_thread_imports_pillow(monkeypatch):
    image = Image.new("RGB", (1, 1))
    assert is_image(image) and not is_image("a.png")
    monkeypatch.setitem(sys.modules, "PIL.Image", ModuleType("PIL.Image"))  # made, and not filled yet
    assert not is_image("a.png")
