"""A small server of `/v1/audio/transcriptions`, in a thread: it decodes what it is sent, and names its pitch."""

import io
import json
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


@dataclass
class SpeechServer:
    url: str = ""
    """Up to and with /v1."""
    model: str = "whisper-1"
    refuses: tuple[str, ...] = ()
    """What it takes for wrong, with status 400, where it stands in a form: a field's name or value."""
    faults: list[Any] = field(default_factory=list)
    """Answers to the next requests: a status, or a JSON value."""
    lacks: tuple[str, ...] = ()
    """Keys that its answers do not have."""
    forms: list[dict[str, Any]] = field(default_factory=list)
    """The fields of every request; of the file its name, type, samples a second and seconds."""
    keys: list[str | None] = field(default_factory=list)
    """The header Authorization of every request."""

    def answer(self, form: dict[str, Any], sound: np.ndarray, rate: int) -> tuple[int, Any]:
        if self.faults:
            fault = self.faults.pop(0)
            return (fault, {"error": {"message": "out of order"}}) if isinstance(fault, int) else (200, fault)
        wrong = [text for text in self.refuses if text in form or text in form.values()]
        if wrong or form["model"] != self.model:
            return 400, {"error": {"message": f"{(wrong or ['this model'])[0]} is not supported"}}
        hertz = np.argmax(np.abs(np.fft.rfft(sound))) * rate / len(sound)
        word = "low" if hertz < 600 else "高"
        seconds = len(sound) / rate
        told = {
            "text": f" {word} tone", "language": "english", "duration": seconds,
            "words": [{"word": f" {word}", "start": 0.25, "end": 0.5}, {"word": " tone", "start": 0.5, "end": 99.0}],
            "segments": [{"text": f" {word} tone", "start": 0.25, "end": seconds}],
        }  # fmt: skip
        if form["response_format"] == "json":
            told = {"text": told["text"]}
        elif "timestamp_granularities[]" not in form:
            del told["words"]
        return 200, {key: value for key, value in told.items() if key not in self.lacks}


@contextmanager
def speech_server(**options: Any) -> Iterator[SpeechServer]:
    """On a free port, gone when the block ends."""
    server = SpeechServer(**options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": server.model}]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            form: dict[str, Any] = {}
            sound, rate = np.zeros(1), 1
            for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
                name = part.get_param("name", header="content-disposition")
                content = part.get_payload(decode=True)
                if name != "file":
                    form[name] = content.decode()
                    continue
                with wave.open(io.BytesIO(content)) as file:
                    rate = file.getframerate()
                    sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                form["file"] = (part.get_filename(), part.get_content_type(), rate, round(len(sound) / rate, 2))
            server.forms.append(form)
            server.keys.append(self.headers["Authorization"])
            assert self.path == "/v1/audio/transcriptions"
            self._send(*server.answer(form, sound, rate))

        def _send(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{httpd.server_port}/v1"
        yield server
        httpd.shutdown()
        thread.join()
