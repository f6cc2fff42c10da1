"""What an image may be called: a file below data.images, in every form of data and at every place that opens one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.images import image_facts, picture_path
from kdsl.data.media import _PLAIN, IMAGES, check_media_name
from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.files import existing_file, inside
from kdsl.sample import Label, Task

TASK = Task("t", (Label("a"), Label("b")))
WRONG = {
    "data:image/png;base64," + "iVBOR" * 2000: "is a picture itself, in 10,022 characters; images must be files: set",
    "https://img.example.com/a.jpg?sign="
    + "Ab0" * 200: "is an address; images must be files: set data.images to a folder",
    "file:///data/a.png": "is an address; images must be files: save it below data.images",
    "../../task.yaml": "leads outside data.images; give a name below that folder",
    "/etc/hostname": "leads outside data.images",
    "C:\\a.png": "leads outside data.images",
    "..\\a.png": "'../a.png' leads outside data.images",
    "a\x00.png": "cannot be the name of a file; give a name below data.images",
    "退" * 100 + ".png": "cannot be the name of a file",
    "a/" * 1500 + "a.png": "cannot be the name of a file",
    "": "cannot be the name of a file",
    " ": "is no file name; give a name below data.images",
    "shop/": "is the name of a folder; give the name of a file in it",
    ".": "is the name of a folder",
}
FORMS = {
    "plain": lambda name: {"text": "x", "images": [name]},
    "plain, one": lambda name: {"text": "x", "image": name},
    "turn": lambda name: {"turns": [{"role": "user", "text": "x", "images": [name]}]},
    "MIRE": lambda name: {"instruction": "a b", "image": [name], "output": "a"},
    "ShareGPT": lambda name: {"messages": [{"role": "user", "content": "<image>x"}], "images": [name]},
    "object": lambda name: {"messages": [{"role": "user", "content": "<image>x"}], "images": [{"path": name}]},
    "part": lambda name: {"messages": [{"role": "user", "content": [{"type": "image", "image": name}]}]},
    "address part": lambda name: {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": name}}]}]
    },
    "message": lambda name: {"messages": [{"role": "user", "content": "x", "images": [name]}]},
    "query": lambda name: {"query": "<image>x", "response": "a", "images": [name]},
}


PARTS = ("part", "address part")
"""Chat services take addresses and pictures there: such a part is told and left out (tests/data/test_messages.py)."""


@pytest.mark.parametrize(
    ("form", "name", "message"),
    [
        pytest.param(form, name, message, id=f"{kind} {number}")
        for kind, form in FORMS.items()
        for number, (name, message) in enumerate(WRONG.items())
        if kind not in PARTS or "images must be files" not in message
    ],
)
def test_another_name_is_one_short_sentence_with_file_line_and_sample(write, form, name, message):
    path = write("data.jsonl", '{"text": "a"}\n' + json.dumps({"id": "s7", **form(name)}))
    with pytest.raises(KdslError) as error:
        read_samples(path, [TASK])
    assert str(error.value).startswith(f"{path}, line 2: an image of sample 's7': ")
    assert message in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("image", [{"bytes": "iVBOR", "path": None}, {"source": {"type": "base64", "data": "iVBOR"}}])
def test_a_picture_in_an_object_is_told_too(write, image):
    path = write("data.jsonl", json.dumps({"id": "s7", "text": "x", "images": [image]}))
    with pytest.raises(
        KdslError, match=r"line 1: an image of sample 's7': .* is a picture itself; images must be files"
    ):
        read_samples(path, [TASK])


@pytest.mark.parametrize(
    "name", ["a.png", "退款/页面 1.jpg", "a.png ", "A.PNG", "./a.png", "a..b.png", ".a/..b", "12:30.png"]
)
def test_names_of_files_are_left_as_they_are(write, name):
    path = write("data.jsonl", json.dumps({"text": "x", "images": [name]}))
    assert read_samples(path, [TASK])[0].images == (name,)


def test_backslashes_are_read_as_slashes_and_counted(write, caplog):
    lines = [json.dumps({"text": "x", "images": names}) for names in (["shop\\a.png"], ["b.png", "shop\\new\\c.png"])]
    path = write("data.jsonl", "\n".join(lines))
    assert [sample.images for sample in read_samples(path, [TASK])] == [("shop/a.png",), ("b.png", "shop/new/c.png")]
    assert "2 names of images with backslashes, which are read as slashes, the first in line 1" in caplog.text


@given(st.text(st.characters() | st.sampled_from("./\\:a"), max_size=70))
def test_the_short_way_lets_no_name_pass_that_leads_out(name):
    try:
        check_media_name(name, IMAGES)
    except KdslError:
        assert not (_PLAIN.fullmatch(name) and ".." not in name)
    else:
        assert inside(Path("/nowhere"), name)


class TestLinks:
    @pytest.fixture
    def images(self, tmp_path) -> Path:
        """A folder with a file, a folder, and links to a file outside."""
        (tmp_path / "secret.png").write_bytes(b"secret")
        folder = tmp_path / "images"
        (folder / "shop").mkdir(parents=True)
        (folder / "a.png").write_bytes(b"page")
        (folder / "out.png").symlink_to("../secret.png")
        (folder / "up").symlink_to("..")
        (folder / "same.png").symlink_to("a.png")
        return folder

    def test_only_files_inside_exist(self, images):
        assert existing_file(images, "a.png") == images / "a.png"
        assert existing_file(images, "same.png") == images / "same.png"
        for name in ("out.png", "up/secret.png", "shop", "gone.png", "../secret.png", "a.png/b"):
            assert existing_file(images, name) is None

    @pytest.mark.parametrize(
        ("name", "problem"),
        [("out.png", "outside"), ("up/secret.png", "outside"), ("shop", "unreadable"), ("gone.png", "missing")],
    )
    def test_what_check_says_of_the_others(self, images, name, problem):
        assert image_facts(images, name).problem == problem


def test_only_the_rendered_picture_of_a_copy_has_an_absolute_path(tmp_path):
    rendered = tmp_path / "checkpoint/augmented/1.jpg"
    assert picture_path(tmp_path / "images", str(rendered)) == rendered
    assert picture_path(tmp_path / "images", "shop/a.png") == tmp_path / "images/shop/a.png"
    with pytest.raises(KdslError, match="leads outside"):
        picture_path(tmp_path / "images", "../checkpoint/augmented/1.jpg")
