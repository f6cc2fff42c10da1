"""Images are fetched from public places and those that the user names, within limits, and only images are."""

import io
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from kdsl.data import fetching
from kdsl.data.audio_folder import AudioFolder
from kdsl.data.fetching import fetch_files
from kdsl.data.image_folder import ImageFolder
from kdsl.data.media_folder import FETCHED


def png(colour="red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "PNG")
    return file.getvalue()


class Server(BaseHTTPRequestHandler):
    asked: "list[tuple[str, str | None]]"

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Host"]))
        status, headers, body = self.server.answers.get(self.path.partition("?")[0], (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine, called `shop.example`, whose answers a test fills in."""
    monkeypatch.setattr(fetching, "_AGAIN", fetching.Retry(total=0, redirect=False, raise_on_status=False))
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    running.answers, running.asked = {"/a.png": (200, {}, png())}, []
    running.url = f"http://shop.example:{running.server_port}"
    names = {"shop.example": "127.0.0.1", "public.example": "93.184.215.14"}
    lookup = socket.getaddrinfo

    def looked_up(host, port, *arguments, **keywords):
        if host.endswith(".example") and host not in names:
            raise socket.gaierror(-2, "Name or service not known")
        return lookup(names.get(host, host), port, *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def images(tmp_path):
    return ImageFolder(tmp_path)


SHOP = ("shop.example",)


def test_a_sound_is_kept_by_what_it_is_and_what_is_none_is_refused(server, tmp_path):
    server.answers["/a.mp3"] = (200, {"Content-Type": "audio/mpeg"}, b"OggS" + bytes(20))
    audio = AudioFolder(tmp_path)
    outcome = fetch_files([f"{server.url}/a.mp3", f"{server.url}/a.png"], audio, SHOP)
    assert (outcome.fetched, [*outcome.problems]) == (1, [f"{server.url}/a.png"])
    assert outcome.problems[f"{server.url}/a.png"].startswith(
        "what it sends cannot be used, as such sounds are no WAV"
    )
    name = AudioFolder(tmp_path).fetched(f"{server.url}/a.mp3")
    assert name is not None and name.endswith(".ogg") and (tmp_path / name).read_bytes() == b"OggS" + bytes(20)


def test_an_image_is_kept_by_its_address_and_its_host_is_asked_by_name(server, images, tmp_path):
    address = f"{server.url}/a.png?size=1"
    assert fetch_files([address, address], images, SHOP) == fetching.FetchOutcome(1, {})
    name = ImageFolder(tmp_path).fetched(address)
    assert name is not None and name.startswith(f"{FETCHED}/")
    assert (tmp_path / name).read_bytes() == png()
    assert server.asked == [("/a.png?size=1", f"shop.example:{server.server_port}")]


def test_a_private_place_is_asked_only_where_it_is_named(server, images):
    address = f"{server.url}/a.png"
    outcome = fetch_files([address], images)
    assert outcome.problems == {address: "shop.example is a private place; --host shop.example allows it"}
    assert (outcome.fetched, server.asked) == (0, [])


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "239.1.1.1", "::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    ],
)  # fmt: skip
def test_these_are_private_places(ip):
    assert not fetching._is_public(ip)


@pytest.mark.parametrize("ip", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_these_are_public(ip):
    assert fetching._is_public(ip)


def test_a_host_with_one_private_address_among_public_ones_is_private(server, images, monkeypatch):
    both = [(0, 0, 0, "", ("93.184.215.14", 80)), (0, 0, 0, "", ("127.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **keywords: both)
    assert "private place" in fetch_files(["http://both.example/a.png"], images).problems["http://both.example/a.png"]


class TestRedirections:
    def test_one_is_followed(self, server, images):
        server.answers["/old.png"] = (302, {"Location": "/a.png"}, b"")
        assert fetch_files([f"{server.url}/old.png"], images, SHOP).fetched == 1

    @pytest.mark.parametrize(
        ("to", "why"),
        [
            ("http://127.0.0.1:{port}/a.png", "127.0.0.1 is a private place"),
            ("http://169.254.169.254/latest", "169.254.169.254 is a private place"),
            ("file:///etc/passwd", "is no http:// address"),
            ("http://user:word@shop.example/", "holds a password"),
            ("/round", "it is redirected more than 5 times"),
        ],
    )
    def test_one_to_another_place_is_looked_at_like_any_address(self, server, images, to, why):
        server.answers["/round"] = (301, {"Location": to.format(port=server.server_port)}, b"")
        outcome = fetch_files([f"{server.url}/round"], images, SHOP)
        assert why in outcome.problems[f"{server.url}/round"]
        assert server.asked == [("/round", f"shop.example:{server.server_port}")] * (6 if to == "/round" else 1)


def test_a_secret_connection_is_made_to_what_was_looked_up_and_checked_by_the_name(images, monkeypatch):
    made = []

    def connect(ip, port, **options):
        made.append((ip, port, options["assert_hostname"], options["server_hostname"]))
        raise fetching.HTTPError("no")

    found = [(0, 0, 0, "", ("93.184.215.14", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **keywords: found)
    monkeypatch.setattr(fetching.urllib3, "HTTPSConnectionPool", connect)
    fetch_files(["https://public.example/a.png"], images)
    assert made == [("93.184.215.14", None, "public.example", "public.example")]


def test_a_server_that_is_busy_is_asked_again(server, images, monkeypatch):
    again = fetching.Retry(total=1, redirect=False, status_forcelist={503}, backoff_factor=0, raise_on_status=False)
    monkeypatch.setattr(fetching, "_AGAIN", again)
    server.answers["/busy"] = (503, {}, b"")
    outcome = fetch_files([f"{server.url}/busy"], images, SHOP)
    assert outcome.problems == {f"{server.url}/busy": "the server answers 503"}
    assert len(server.asked) == 2


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            ((200, {}, b"<html>sign in</html>"), "as such pictures are no PNG, JPEG, WebP, GIF, BMP or TIFF"),
            ((200, {}, b""), "as such pictures are empty"),
            ((404, {}, png()), "the server answers 404"),
            ((204, {}, b""), "the server answers 204"),
            ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b" + b"x" * 20), "are no PNG"),
        ],
    )
    def test_what_is_no_image_is_told_and_not_kept(self, server, images, tmp_path, answer, why):
        server.answers["/b"] = answer
        outcome = fetch_files([f"{server.url}/b", f"{server.url}/a.png"], images, SHOP)
        assert why in outcome.problems[f"{server.url}/b"]
        assert outcome.fetched == 1
        assert len(list((tmp_path / FETCHED).iterdir())) == 1

    def test_too_much_is_not_read_to_its_end(self, server, images, monkeypatch):
        monkeypatch.setattr(ImageFolder, "largest", 1 << 20)
        server.answers["/big"] = (200, {}, b"x" * (3 << 20))
        assert fetch_files([f"{server.url}/big"], images, SHOP).problems == {f"{server.url}/big": "has more than 1 MB"}

    def test_what_takes_too_long_is_given_up(self, server, images, monkeypatch):
        monkeypatch.setattr(fetching, "_WHOLE", -1)
        assert "takes more than" in fetch_files([f"{server.url}/a.png"], images, SHOP).problems[f"{server.url}/a.png"]

    @pytest.mark.parametrize(
        ("address", "why"),
        [("http://gone.example/a.png", "the host gone.example is not known"), ("http:///a.png", "no http:// address")],
    )
    def test_what_cannot_be_reached_is_told(self, server, images, address, why):
        assert why in fetch_files([address], images).problems[address]

    def test_a_closed_port_is_told(self, images):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{taken.getsockname()[1]}/a.png"
            problem = fetch_files([address], images, ["127.0.0.1"]).problems[address]
        assert problem.startswith("it cannot be reached (") and "refused" in problem
