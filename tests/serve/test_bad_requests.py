"""Whatever a client sends it is told what is wrong in one sentence, and the service serves everybody else."""

import base64
import gzip
import json
import logging
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="needs the extra serve")

from service_on_port import Answer, ServiceOnPort, heard, on_port, request
from service_shop import opened, picture
from waiting import GIVE_UP, until

from kdsl.errors import KdslError

BODY = 400_000
"""`serve.body` here."""
ASKED = {"id": "a", "task": "returns", "text": "钱退了吗"}
TURN = {"role": "user", "text": "钱"}
WHOLE = json.dumps({"samples": [ASKED]}).encode()
FORM = "Content-Type: multipart/form-data; boundary=XX"


@pytest.fixture(scope="module")
def place(trained_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(copytree(trained_shop, tmp_path_factory.mktemp("attacked") / "shop"))


@pytest.fixture(scope="module")
def attacked(place: Path) -> Iterator[ServiceOnPort]:
    """One service for all tests that leave its project as it is."""
    with on_port(opened(place, serve__body=BODY, serve__waiting=4)) as running:
        yield running


@pytest.fixture
def service(attacked: ServiceOnPort, log: "Log") -> Iterator[ServiceOnPort]:
    """It is alive after the test too, and nothing went wrong inside it."""
    yield attacked
    assert attacked.is_alive()
    assert attacked.predict(ASKED).status == 200
    assert attacked.problems == []
    assert [record for record in log.records if record.exc_info or record.levelno >= logging.ERROR] == []


class Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def log() -> Iterator[Log]:
    """What the service and its server log; uvicorn hands nothing on to the root."""
    log, loggers = Log(), [logging.getLogger(), logging.getLogger("uvicorn")]
    for logger in loggers:
        logger.addHandler(log)
    yield log
    for logger in loggers:
        logger.removeHandler(log)


def refused(answer: Answer, status: int, *parts: str) -> None:
    assert (answer.status, [part for part in parts if part not in answer.sentence]) == (status, []), answer.body


# Pictures


def png(size: tuple[int, int], pixels: bytes = b"") -> bytes:
    """A PNG that says it has that size, in RGB, whatever its pixels are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b"")


def shows(*images: Any) -> dict[str, Any]:
    return {"id": "p", "task": "desk", "images": list(images)}


def packed(data: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (png((60_000, 60_000)), "have 30 megapixels or more, or a side of over 65535 pixels"),
        (png((1, 70_000)), "have 30 megapixels or more, or a side of over 65535 pixels"),
        (picture()[:-30], "'picture 1' cannot be looked at: image file is truncated"),
        (b"just a text", "are no PNG, JPEG, WebP, GIF, BMP or TIFF"),
        (b"<svg onload='alert(1)'/>", "are no PNG, JPEG, WebP, GIF, BMP or TIFF"),
        (b"", "are empty"),
    ],
    ids=["square", "tower", "truncated", "text", "drawing", "empty"],
)
def test_what_is_no_picture_or_a_bomb_is_refused_before_it_is_decoded(service, data, told):
    refused(service.predict(shows(packed(data))), 422, told)


def test_a_picture_that_unpacks_to_more_than_its_size_says_is_looked_at_as_far_as_that(service):
    """Here 100 MB, of which the decoder takes the 300 bytes that 10 x 10 pixels have."""
    assert service.predict(shows(packed(png((10, 10), b"\0" * 100_000_000)))).status == 200


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../kdsl.yaml", "leads outside data.images"),
        ("/etc/passwd", "leads outside data.images"),
        ("a\\..\\..\\b.png", "leads outside data.images"),
        ("C:\\b.png", "leads outside data.images"),
        ("file:///etc/passwd", "is an address"),
        ("http://169.254.169.254/secret.png", "is an address, and the service fetches nothing"),
        ("nowhere.png", "it is not below data.images; send the picture itself"),
        ("out.png", "it is not below data.images; send the picture itself"),
        ("folder/out.png", "it is not below data.images; send the picture itself"),
        ("a\0.png", "cannot be the name of a file"),
        ("\ud800.png", "cannot be the name of a file"),
        ("", "cannot be the name of a file"),
        ("a" * 5000, "cannot be the name of a file"),
        ("data:image/png;base64,???", "are not in base64"),
        (5, "it must be a file name in quotes"),
        ({"base64": 5}, "is a picture itself"),
    ],
)
def test_an_image_is_a_file_below_the_folder_or_comes_along(service, place, name, told):
    images = place / "data" / "images"
    if not (images / "folder").is_symlink():
        (place / "out.png").write_bytes(picture())
        (images / "out.png").symlink_to(place / "out.png")
        (images / "folder").symlink_to(place)
    refused(service.predict(shows(name)), 422, told)


# Samples


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ({"id": "a", "task": "no such", "text": "x"}, "samples, item 1: the task 'no such' is none of returns, desk"),
        ({"id": "a", "text": "x"}, "the project has 2 tasks and this sample does not say which"),
        ({"id": "a", "task": 5, "text": "x"}, "samples, item 1: task is 5; it must be a task's name in quotes"),
        ({**ASKED, "turns": []}, "it has both text and turns; keep one of the two"),
        ({**ASKED, "text": 5}, "samples, item 1: text is 5; it must be text in quotes"),
        ({**ASKED, "text": float("nan")}, "samples, item 1: text is nan; it must be text in quotes"),
        ({**ASKED, "id": 5.5}, "samples, item 1: id is 5.5; it must be a text or a whole number"),
        ({**ASKED, "id": "\ud800"}, "half a character"),
        ({**ASKED, "id": "a\0b"}, "samples, item 1: id is 'a\\x00b'"),
        ({"task": "returns", "turns": [{"role": "boss", "text": "x"}]}, "the role 'boss' is unknown"),
        ({"task": "returns", "turns": [{"role": "user"}]}, "the text of turn 1 is missing"),
        ({"task": "returns", "turns": {}}, "samples, item 1: turns is {}; it must be a list"),
    ],
)
def test_a_sample_is_refused_in_the_words_of_the_command_line(service, place, sample, told):
    with pytest.raises(KdslError) as error:
        opened(place).predict([sample])
    refused(service.predict(sample), 422, told, error.value.in_commands())


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        (5, 'samples, item 1: 5 is no sample like {"id": "1", "text": "…"}'),
        (
            {**ASKED, "colour": 1},
            "the key 'colour' is not known; a sample has the keys id, task, text, turns, images, audio",
        ),
        ({"id": "a", "task": "returns"}, "samples, item 1: it has no text, no images and no sounds; give one of them"),
        ({**ASKED, "text": " "}, "samples, item 1: it has no text, no images and no sounds; give one of them"),
        ({**ASKED, "message": "x", "label": "退款"}, "the key 'message' is not known"),
        (
            {"id": "a", "task": "returns", "turns": [{"role": "user", "text": "x", "at": 1}]},
            "the key 'at' of a turn is not known; a turn has the keys role, text, images, audio",
        ),
        ({"task": "returns", "turns": [TURN] * 1001}, "samples, item 1: it has 1001 turns, more than 1000"),
        (
            {"task": "desk", "images": [""] * 51, "turns": [{**TURN, "images": [""] * 25}] * 2},
            "samples, item 1: it has 101 images, more than 100; send those that matter",
        ),
    ],
)
def test_what_a_file_may_leave_to_be_guessed_is_refused_in_the_service_s_own_words(service, sample, told):
    refused(service.predict(sample), 422, told)


def test_a_thousand_turns_and_a_hundred_images_are_decided(service):
    turns = [TURN] * 999 + [{**TURN, "images": ["known.png"]}]
    images = ["known.png"] * 99
    assert service.predict({"id": "a", "task": "desk", "turns": turns, "images": images}).status == 200


def test_of_several_samples_none_is_decided_if_one_is_wrong(service):
    before = len(service.logged)
    refused(service.predict(ASKED, {**ASKED, "text": 5}), 422, "samples, item 2: text is 5")
    assert len(service.logged) == before


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "\u202e钱", "钱" * 20_000])
def test_a_text_may_hold_anything(service, text):
    assert service.predict({**ASKED, "text": text}).status == 200


def test_ten_thousand_samples_at_once_are_too_many(service):
    samples = [{"task": "returns", "text": "a"}] * 10_000
    refused(service.predict(*samples), 413, "10000 at once are more than 256 (`serve.samples`); send them in parts")


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "the body is empty"),
        (b"{", 400, "the body, line 1, column 2: not valid JSON"),
        (WHOLE + b" and more", 400, "not valid JSON (Extra data)"),
        (b"\xff", 400, "the body: byte 0 is not UTF-8; send it as UTF-8"),
        (b"[" * 100_000, 400, "lists or objects within each other too deeply"),
        (b'{"samples": ' + b'{"a":' * 500 + b"1" + b"}" * 501, 400, "lists or objects within each other too deeply"),
        (b'{"samples": [{"text": "a", "text": "b"}]}', 400, "the body, line 1: the key 'text' is given twice"),
        (b'{"samples": [{"id": %s, "text": "a"}]}' % (b"9" * 5000), 400, "a number of thousands of digits"),
        (b'{"samples": [], "more": 1}', 422, "the key 'more' is not known"),
        (b"{}", 422, "the key 'samples' is missing"),
        (b'{"samples": []}', 422, "samples is no list of samples"),
        (b'{"samples": {"text": "a"}}', 422, "samples is no list of samples"),
        (b"[]", 400, "the body is no JSON object"),
    ],
    ids=lambda value: f"{value[:20]!r}" if isinstance(value, bytes) else None,
)
def test_a_body_is_json_with_samples(service, body, status, told):
    refused(service.ask("POST", "/v1/predict", body), status, told)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {"id": JSON, "task": st.sampled_from(["returns", "desk"]) | JSON},
    optional={
        "text": JSON,
        "turns": st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "agent"]) | JSON}, optional={"text": JSON, "audio": JSON}
            )
        )
        | JSON,
        "images": st.lists(JSON, max_size=2) | JSON,
        "audio": st.lists(JSON, max_size=2) | JSON,
        "label": JSON,
        "copy_of": JSON,
    },
)
"""Samples of which some keys hold what they should not."""


@given(value=JSON | st.fixed_dictionaries({"samples": st.lists(NEARLY | JSON, max_size=3) | JSON}))
@settings(max_examples=40)
def test_any_json_is_decided_or_refused(attacked, value):
    for path in ("/v1/predict", "/v1/explain"):
        answer = attacked.post(value, path)
        assert answer.status == 200 or (400 <= answer.status < 500 and answer.sentence), answer.body


@given(
    value=JSON
    | st.fixed_dictionaries(
        {"id": st.just("a") | JSON, "task": st.just("returns") | JSON, "label": JSON, "by": st.just("Li") | JSON},
        optional={"sample": NEARLY | JSON},
    )
)
@settings(max_examples=40)
def test_any_json_is_taken_as_feedback_or_refused(attacked, value):
    answer = attacked.post(value, "/v1/feedback")
    assert answer.status == 200 or (400 <= answer.status < 500 and answer.sentence), answer.body


@given(body=st.binary(max_size=200), kind=st.sampled_from(["application/json", FORM.partition(": ")[2]]))
@settings(max_examples=40)
def test_any_bytes_are_refused(attacked, body, kind):
    answer = attacked.ask("POST", "/v1/predict", body, {"Content-Type": kind})
    assert answer.sentence and 400 <= answer.status < 500


# Forms


def part(name: str, data: bytes, file: str | None = None, kind: str | None = None) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    head += "" if file is None else f'; filename="{file}"'
    head += "" if kind is None else f"\r\nContent-Type: {kind}"
    return b"--XX\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def samples(*images: str) -> bytes:
    return json.dumps([shows(*images)]).encode()


def form(*parts: bytes) -> bytes:
    return request("/v1/predict", b"".join(parts) + b"--XX--\r\n", FORM)


@pytest.mark.parametrize("name", ["shot.png", "图.png", "../../shot.png", "/etc/passwd"])
def test_a_file_of_a_form_has_any_name_that_the_sample_has_for_it(service, name):
    """It names no place on this computer, just that file."""
    answer = service.told(form(part("samples", samples(name)), part("file", picture(), name)))
    assert answer.prediction["id"] == "p"


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
def test_samples_may_be_a_file_of_json(service, kind):
    """As scripts of a browser send all that has a type."""
    parts = part("samples", samples("a.png"), "blob", kind), part("file", picture(), "a.png")
    assert service.told(form(*parts)).prediction["id"] == "p"


@pytest.mark.parametrize(
    ("parts", "status", "told"),
    [
        (
            [part("samples", samples()), part("file", picture(), "a.png")],
            422,
            "no sample's images or audio name the file",
        ),
        (
            [part("samples", samples("a.png")), *[part("f", picture(), "a.png")] * 2],
            400,
            "the file 'a.png' is given t",
        ),
        ([part("samples", samples())] * 2, 400, "the field 'samples' is given twice; keep one of the two"),
        ([part("samples", samples("a.png"))], 422, "the image 'a.png' cannot be found"),
        ([part("samples", b"{")], 400, "the field 'samples', line 1, column 2: not valid JSON"),
        ([part("samples", b"\xff", "blob", "application/json")], 400, "the field 'samples': byte 0 is not UTF-8"),
        ([part("samples", samples()), part("more", b"1")], 422, "the key 'more' is not known"),
        ([part("samples", samples()), *(part("f", b"", f"{n}.png") for n in range(1001))], 400, "too many files"),
        ([part(f"field{n}", b"1") for n in range(20)], 400, "too many fields"),
        ([b"--XX\r\nContent-Disposition: form-data\r\n\r\n\r\n"], 400, '"name" must be provided'),
        ([], 422, "the key 'samples' is missing"),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_a_form_holds_samples_and_the_files_that_they_name(service, parts, status, told):
    refused(service.told(form(*parts)), status, told)


@pytest.mark.parametrize(
    "boundary", ["", "; boundary=", "; boundary=YY", '; boundary="\xff"', "; boundary=" + "X" * 300]
)
def test_a_form_without_its_boundary_is_refused(service, boundary):
    body = part("samples", samples()) + b"--XX--\r\n"
    answer = service.told(request("/v1/predict", body, f"Content-Type: multipart/form-data{boundary}"))
    refused(answer, 400, "the body is no multipart/form-data that is taken", "let a library write it")


# HTTP


@pytest.mark.parametrize("told", [[f"Content-Length: {BODY + 1}"], ["Transfer-Encoding: chunked"]])
def test_a_body_of_more_than_serve_body_is_refused_before_its_end(service, told):
    client = service.client(request("/v1/predict", b"", *told))
    if "chunked" in told[0]:
        client.sendall(b"%x\r\n" % (BODY + 1) + b" " * (BODY + 1))
    refused(heard(client), 413, f"the body has more than {BODY} bytes (`serve.body`)")


def test_a_body_may_be_as_large_as_that(service):
    body = WHOLE + b" " * (BODY - len(WHOLE))
    assert service.told(request("/v1/predict", body)).status == 200
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert service.told(request("/v1/predict", chunks, "Transfer-Encoding: chunked")).status == 200


def test_a_packed_body_is_refused(service):
    """It could unpack to anything."""
    answer = service.told(request("/v1/predict", gzip.compress(WHOLE), "Content-Encoding: gzip"))
    refused(answer, 415, "the body is packed as 'gzip'; send it as it is")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png", ""])
def test_a_body_of_another_type_is_refused(service, kind):
    refused(service.told(request("/v1/predict", WHOLE, f"Content-Type: {kind}")), 415, "send application/json")


def test_who_waits_for_the_service_s_nod_gets_it(service):
    client = service.client(request("/v1/predict", b"", "Expect: 100-continue", f"Content-Length: {len(WHOLE)}"))
    assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(WHOLE)
    assert heard(client).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/predict", 405),
        ("PUT", "/v1/predict", 405),
        ("OPTIONS", "/v1/predict", 405),
        ("POST", "/healthz", 405),
        ("POST", "/v1/predict/", 404),
        ("POST", "//v1/predict", 404),
        ("POST", "/v1", 404),
        ("GET", "/docs/static/../../../etc/passwd", 404),
        ("GET", "/docs/static/%2e%2e/app.py", 404),
        ("GET", "/%00", 404),
        ("GET", "/" + "x" * 5000, 404),
    ],
)
def test_another_path_or_method_is_told(service, method, path, status):
    answer = service.told(request(path, WHOLE, method=method))
    refused(answer, status, "/docs lists what there is")
    assert len(answer.sentence) < 200


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/v1/predict", 405), ("/x", 404)])
def test_who_asks_for_the_head_alone_gets_it(service, path, status):
    client = service.client(request(path, method="HEAD"))
    answer = heard(client, "HEAD")
    assert (answer.status, answer.body) == (status, b"")
    client.sendall(request("/healthz", method="GET"))
    assert heard(client).json == {"status": "alive"}  # nothing stood between the two


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"BREW /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\0b\r\n\r\n",
        request("/v1/predict", WHOLE, "Content-Length: -5"),
        request("/v1/predict", WHOLE, "Content-Length: 5", "Content-Length: 6"),
        request("/v1/predict", b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"),
        request("/v1/predict", b"zz\r\n", "Transfer-Encoding: chunked"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of https
    ],
    ids=["text", "brew", "zero", "negative", "two lengths", "both lengths", "bad chunk", "https"],
)
def test_what_is_no_http_is_refused_and_the_connection_ends(service, sent):
    client = service.client(sent + b"\r\n\r\n")
    assert heard(client).status == 400
    assert client.recv(1) == b""


# Who lets the service wait, and for whom it has no time


def test_a_body_that_never_ends_is_answered_in_serve_seconds(place, log):
    with on_port(opened(place, serve__seconds=0.2)) as service:
        clients = [
            service.client(request("/v1/predict", WHOLE[:-5], f"Content-Length: {len(WHOLE)}")),
            service.client(request("/v1/explain", b"5\r\n{'sam\r\n", "Transfer-Encoding: chunked")),
            service.client(request("/v1/feedback", b"", "Content-Length: 99999")),
        ]
        for client in clients:
            answer = heard(client)
            refused(answer, 408, "the body took longer than 0.2 seconds (`serve.seconds`)")
            assert answer.headers["connection"] == "close"
        assert service.is_alive()
    assert [record for record in log.records if record.exc_info] == []


def test_a_decision_that_takes_too_long_is_given_up(place):
    with on_port(opened(place, serve__seconds=0.2)) as service, service.held_up() as held:
        answer = service.predict(ASKED)
        refused(answer, 503, "the decision took longer than 0.2 seconds (`serve.seconds`)")
        assert answer.headers["retry-after"] == "1"
        assert service.is_alive()
        held.let.set()


def test_pictures_that_took_too_long_to_read_are_let_go_of(place):
    with on_port(opened(place, serve__seconds=0.2), most_bytes=0) as service:
        reader, let = service.service.reader, threading.Event()
        read = reader.samples

        def slow(body: Any) -> Any:
            found = read(body)
            assert let.wait(GIVE_UP)
            return found

        reader.samples = slow
        refused(service.predict({**shows(packed(picture())), "text": "钱" * 30_000}), 503, "`serve.seconds`")
        assert len(list(service.uploads.iterdir())) == 1
        let.set()
        until(lambda: list(service.uploads.iterdir()) == [])


def requests_of(service: ServiceOnPort, status: int) -> float:
    """How many requests for predictions were answered so, whether somebody heard it or not."""
    series = f'kdsl_requests_total{{route="/v1/predict",status="{status}"}} '
    lines = service.ask("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))


def test_who_goes_away_in_the_middle_of_a_request_is_forgotten(service):
    before, logged = requests_of(service, 400), len(service.logged)
    clients = [service.client(request("/v1/predict", WHOLE[:-5], f"Content-Length: {len(WHOLE)}")) for _ in range(5)]
    for client in clients:
        client.close()
    until(lambda: requests_of(service, 400) == before + 5)
    assert len(service.logged) == logged


def test_nothing_is_decided_for_who_goes_away_while_it_waits(service):
    before, logged = requests_of(service, 400), len(service.logged)
    with service.held_up() as held:
        first = service.client(request("/v1/predict", WHOLE))
        assert held.begun.wait()
        waiting = service.client(request("/v1/predict", WHOLE.replace(b'"a"', b'"gone"')))
        until(lambda: service.service.batcher.waiting == 1)
        waiting.close()
        until(lambda: requests_of(service, 400) == before + 1)
    assert heard(first).status == 200
    assert service.predict({**ASKED, "id": "after"}).status == 200
    assert [each["id"] for each in service.logged[logged:]] == ["a", "after"]


def test_where_too_many_wait_others_are_told_to_come_again(service):
    with service.held_up() as held:
        first = service.client(request("/v1/predict", WHOLE))
        assert held.begun.wait()
        waiting = []
        for number in range(1, 5):
            waiting.append(service.client(request("/v1/predict", WHOLE)))
            until(lambda number=number: service.service.batcher.waiting == number)
        answer = service.predict(ASKED)
        refused(answer, 503, "4 samples wait for their decision; try again in a moment")
        assert answer.headers["retry-after"] == "1"
    assert [heard(client).status for client in [first, *waiting]] == [200] * 5


# Tokens


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "s3cret", "Basic s3cret", "Bearer s3cret2"])
def test_who_has_no_token_is_told_so_before_the_body_is_read(place, header):
    with on_port(opened(place), token="s3cret") as service:
        headers = [] if header is None else [f"Authorization: {header}"]
        for path in ("/v1/predict", "/v1/explain", "/v1/feedback"):
            answer = service.told(request(path, b"", *headers, "Content-Length: 1000000"))
            refused(answer, 401, "`Authorization: Bearer TOKEN`")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert service.is_alive()
