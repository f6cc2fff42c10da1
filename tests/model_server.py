"""A small OpenAI-compatible server in a process of its own, for tests: `with model_server(directory) as server`.

With a model directory it answers as vLLM would, by `kdsl.vlm.local`: chat completions with pictures and sounds,
constrained choices, several samples, log-probabilities of the prompt. Without one it needs no torch and always gives
the same answer. Its embeddings count characters. It can lack abilities, and fail in many ways when it is told to
(`RunningServer.fail`).
"""

import base64
import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONSTRAINTS = ("structured_outputs", "guided_choice", "regex", "grammar")
"""Fields that constrain an answer: of vLLM, vLLM before 0.12, SGLang and llama.cpp."""
KNOWN = {"model", "messages", "temperature", "top_p", "max_tokens", "n", "stop"}
"""Fields of OpenAI's; `transformers serve` knows one more."""


@dataclass(frozen=True)
class RunningServer:
    url: str
    """Up to and with /v1."""

    def fail(self, *faults: str, forever: bool = False) -> None:
        """Answer the next requests by one fault each (or all by the first): a status such as "500", "429" (with
        Retry-After: 1) or "302 ADDRESS", "stall", "drop" (the connection), "half" (an answer), "garbage", "gzip" (a
        good answer), "packed" (one that only says so), "data:…" (as streamed), or a JSON body.
        """
        self._control({"faults": faults, "forever": forever})

    def become(self, **options: Any) -> None:
        """Be as if started with these options of `model_server`, and no others; faults are over."""
        self._control({"options": _options(**options), "faults": [], "forever": False})

    def requests(self) -> list[dict[str, Any]]:
        """What was asked so far: path, body, time (seconds), key, and the fault that it was answered by, or None."""
        return self._control({})["requests"]

    def _control(self, body: dict[str, Any]) -> dict[str, Any]:
        address = self.url.removesuffix("/v1") + "/control"
        with urllib.request.urlopen(address, data=json.dumps(body).encode(), timeout=60) as response:
            return json.load(response)


def _options(
    answer: str = "是",
    models: Sequence[str] | None = ("tiny",),
    constraint: str | None = "structured_outputs",
    lacks: Sequence[str] = (),
    context: int | None = None,
    key: str = "",
    replies: Sequence[tuple[str, str]] = (),
    mischief: Sequence[str] = (),
    delay: float = 0.0,
    form: dict[str, Any] | None = None,
    strays: int = 0,
    pinned: str = "",
) -> dict[str, Any]:
    return dict(locals())


@contextlib.contextmanager
def model_server(model: Path | None = None, **options: Any) -> Iterator[RunningServer]:
    """A server on a free port, gone when the block ends.

    Options: `answer`: what it says without a model; `models`: the names that it serves; `constraint`: the one of
    `CONSTRAINTS` that it knows, others are ignored; `lacks`: any of prompt_logprobs, pictures, sounds, n (it gives
    one answer whatever that says), many (it refuses to give several), extras (it refuses fields not of OpenAI's);
    `context`: tokens of prompt and answer (without a model, characters); `key`: refuse requests with another one;
    `replies`: (a pattern, what it says, without a model, where the last message holds that), the first that fits;
    `mischief`: what happens to chat requests in turn, over and over: faults as of `RunningServer.fail`, "nonsense" (an
    answer to another question), or "" for none; `delay`: seconds that an answer takes; `form`: what stands in
    `choices`, with ANSWER for the answer; `strays`: so many of the first answers about samples are "别的"; `pinned`:
    the name of the only model, to be asked as `transformers serve` 5.23 that was started with it: `models` is what the
    hub's cache holds (None: there is no cache), other fields and names are refused in its words, `stop` and `n` are
    what they are there, and whether answers are sampled stands in `generation_config` alone.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        words = [json.dumps(_options(**options)), folder]
        if model:
            from fork_server import TORCH, Forked

            forked = stack.enter_context(Forked(Path(__file__), *words, model, imported=TORCH))
            port = forked.stdout.readline().decode().strip()
        else:
            command = [sys.executable, __file__, *words]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            process = stack.enter_context(subprocess.Popen(command, **pipes, text=True))
            stack.callback(process.kill)
            assert process.stdout is not None
            port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"the model server did not start: {forked.errors() if model else 'see stderr'}")
        yield RunningServer(f"http://127.0.0.1:{port}/v1")


class Refused(Exception):
    def __init__(self, status: int, message: str, body: Any = None) -> None:
        self.status = status
        self.body = body or {"error": {"message": message, "type": "BadRequestError"}}


def failed() -> Refused:
    """What Starlette answers where the code behind it raises an error."""
    return Refused(500, "", "Internal Server Error")


class Service:
    """What the process does; `ask` answers the body of a chat completion."""

    def __init__(self, options: dict[str, Any], folder: Path, model: str | None) -> None:
        self.options = options
        self.faults: list[str] = []
        self.forever = False
        self.turn = self.strays = 0
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.model = None
        self.root = model
        """What vLLM was started with."""
        if model:
            import torch

            from kdsl.vlm.local import LocalModel

            torch.manual_seed(0)
            self.model = LocalModel.load(model, device="cpu")
        self.folder = folder

    def control(self, body: dict[str, Any]) -> dict[str, Any]:
        self.options = body.get("options", self.options)
        if "options" in body:
            self.turn = self.strays = 0
        if "faults" in body:
            self.faults, self.forever = list(body["faults"]), body["forever"]
        return {"requests": self.requests}

    def next_fault(self, path: str) -> str | None:
        with self.lock:
            if self.faults:
                return self.faults[0] if self.forever else self.faults.pop(0)
            mischief = self.options["mischief"]
            if not mischief or not path.endswith("/chat/completions"):
                return None
            self.turn += 1
            return mischief[(self.turn - 1) % len(mischief)] or None

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.options["pinned"]:
            self._check_pinned(body)
        elif body["model"] not in self.options["models"]:
            raise Refused(404, f"The model `{body['model']}` does not exist.")
        unknown = sorted(set(body) - KNOWN)
        if "extras" in self.options["lacks"] and unknown:
            raise Refused(422, f"Unexpected fields in the request: {unknown}")
        if "pictures" in self.options["lacks"] and "image_url" in json.dumps(body["messages"]):
            raise Refused(400, "tiny is not a multimodal model")
        if "sounds" in self.options["lacks"] and "input_audio" in json.dumps(body["messages"]):
            raise Refused(400, "At most 0 audio(s) may be provided in one prompt.")
        if "many" in self.options["lacks"] and body.get("n", 1) > 1:
            raise Refused(400, "Only one completion choice is allowed")
        choices = self._choices(body)
        count = 1 if "n" in self.options["lacks"] or self.options["pinned"] else body.get("n", 1)
        told = body.get("prompt_logprobs") is not None and "prompt_logprobs" not in self.options["lacks"]
        with self.lock:
            if self.model is None:
                self._check_length(sum(len(json.dumps(m["content"])) for m in body["messages"]), body)
                texts = [choices[0] if choices else self._reply(body)] * count
                prompt_logprobs, length = None, None
            else:
                prompt, prompt_logprobs, length = self._read(body, told)
                texts = [""] if told else self._answers(prompt, body, choices, count)
        reply: dict[str, Any] = {
            "choices": [self._formed(text) for text in texts],
            "usage": {"prompt_tokens": length, "completion_tokens": sum(len(text) + 1 for text in texts)},
        }
        return reply | ({"prompt_logprobs": prompt_logprobs} if told and prompt_logprobs else {})

    def listed(self) -> dict[str, Any]:
        if self.options["models"] is None:
            raise failed()
        told = {"max_model_len": 4096} | ({} if self.root is None else {"root": self.root})
        return {"object": "list", "data": [{"id": name, **told} for name in self.options["models"]]}

    def _check_pinned(self, body: dict[str, Any]) -> None:
        unexpected = set(body) - KNOWN - {"generation_config"}
        if unexpected:
            raise Refused(422, "", {"detail": f"Unexpected fields in the request: {unexpected}"})
        if body["model"] != self.options["pinned"]:
            told = f"Server is pinned to '{self.options['pinned']}'; requested '{body['model']}'."
            raise Refused(400, "", {"detail": told})
        if body.get("stop") is not None:
            raise failed()

    def embed(self, body: dict[str, Any]) -> dict[str, Any]:
        """The numbers of each text's characters in a vector of 8, the last text first."""
        if body["model"] not in self.options["models"]:
            raise Refused(404, f"The model `{body['model']}` does not exist.")
        limit = self.options["context"]
        if limit is not None and max(map(len, body["input"])) > limit:
            raise Refused(400, f"This model's maximum context length is {limit} tokens.")
        data = []
        for index, text in enumerate(body["input"]):
            vector = [0.0] * 8
            for character in text:
                vector[ord(character) % 8] += 1.0
            data.append({"object": "embedding", "index": index, "embedding": vector})
        return {"object": "list", "data": data[::-1], "model": body["model"]}

    def _formed(self, text: str) -> dict[str, Any]:
        if self.options["form"] is None:
            return {"message": {"role": "assistant", "content": text}}
        template = json.dumps(self.options["form"], ensure_ascii=False)
        return json.loads(template.replace("ANSWER", json.dumps(text, ensure_ascii=False)[1:-1]))

    def _reply(self, body: dict[str, Any]) -> str:
        content = body["messages"][-1]["content"]
        said = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        if said != "?" and self.strays < self.options["strays"]:
            self.strays += 1
            return "别的"
        found = (answer for pattern, answer in self.options["replies"] if re.search(pattern, said))
        return next(found, self.options["answer"])

    def _choices(self, body: dict[str, Any]) -> list[str] | None:
        constraint = body.get(self.options["constraint"])
        if constraint is None:
            return None
        if self.options["constraint"] == "regex":
            return [re.sub(r"\\(.)", r"\1", choice) for choice in constraint[1:-1].split("|")]
        if self.options["constraint"] == "grammar":
            return [json.loads(choice) for choice in constraint.removeprefix("root ::= ").split(" | ")]
        return constraint if self.options["constraint"] == "guided_choice" else constraint["choice"]

    def _check_length(self, tokens: int, body: dict[str, Any]) -> None:
        limit = self.options["context"]
        if limit is not None and tokens + body["max_tokens"] > limit:
            told = f"However, your request has {tokens} input tokens plus {body['max_tokens']} 'max_tokens'."
            raise Refused(400, f"This model's maximum context length is {limit} tokens. {told}")

    def _conversation(self, messages: list[dict[str, Any]]) -> Any:
        from kdsl.vlm.conversation import Audio, Message, Picture

        conversation = []
        for message in messages:
            content = message["content"]
            pieces: list[Any] = []
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                if part["type"] == "text":
                    pieces.append(part["text"])
                elif part["type"] == "input_audio":
                    path = self.folder / f"{abs(hash(part['input_audio']['data']))}.wav"
                    path.write_bytes(base64.b64decode(part["input_audio"]["data"]))
                    pieces.append(Audio(path))
                else:
                    data = base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
                    path = self.folder / f"{abs(hash(data))}.png"
                    path.write_bytes(data)
                    pieces.append(Picture(path))
            conversation.append(Message(message["role"], tuple(pieces)))
        return tuple(conversation)

    def _read(self, body: dict[str, Any], told: bool) -> tuple[Any, list[Any] | None, int]:
        """The conversation, what vLLM would tell of every token of its prompt, and how many these are."""
        import torch

        processor = self.model.processor
        messages = body["messages"]
        answered = messages[-1]["role"] == "assistant"
        conversation = self._conversation(messages[:-1] if answered else messages)
        prompt = processor.encode(conversation)
        answer: list[int] = []
        if answered:
            answer = processor.answer_ids(messages[-1]["content"])
            newline = processor.tokenizer.encode("\n", add_special_tokens=False)
            answer = answer[:-1] if body.get("continue_final_message") else [*answer, *newline]
        self._check_length(len(prompt) + len(answer), body)
        if not told:
            return conversation, None, len(prompt) + len(answer)
        batch = processor.batch([prompt.followed_by(answer)])
        with torch.inference_mode():
            log_p = self.model.model(**batch).logits[0].double().log_softmax(dim=-1)
        entries: list[Any] = [None]
        for row, token in enumerate(batch["input_ids"][0, 1:].tolist()):
            rank = int((log_p[row] > log_p[row, token]).sum()) + 1
            entry = {str(token): {"logprob": log_p[row, token].item(), "rank": rank, "decoded_token": ""}}
            if rank > 1:
                best = int(log_p[row].argmax())
                entry[str(best)] = {"logprob": log_p[row, best].item(), "rank": 1, "decoded_token": ""}
            entries.append(entry)
        return conversation, entries, len(entries)

    def _answers(self, conversation: Any, body: dict[str, Any], choices: list[str] | None, count: int) -> list[str]:
        import numpy as np

        sampled = body["temperature"] != 0
        if self.options["pinned"]:
            sampled = json.loads(body.get("generation_config", "{}")).get("do_sample", False)
        if not sampled:
            return [self.model.generate([conversation], body["max_tokens"], choices)[0].text]
        if choices is not None:
            log_p = self.model.score([conversation], choices).log_probabilities[0]
            shares = np.exp(log_p - np.logaddexp.reduce(log_p))
            seed = len(self.requests)
            return [choices[i] for i in np.random.default_rng(seed).choice(len(choices), count, p=shares)]
        from transformers import GenerationConfig

        processor = self.model.processor
        batch = processor.batch([processor.encode(conversation)])
        config = GenerationConfig(
            do_sample=True, top_k=0, max_new_tokens=body["max_tokens"], num_return_sequences=count,
            eos_token_id=processor.end_id, pad_token_id=processor.pad_id,
        )  # fmt: skip
        output = self.model.model.generate(**batch, generation_config=config)
        return [processor.text(row) for row in output[:, batch["input_ids"].shape[1] :].tolist()]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def do_GET(self) -> None:
        self._handle({})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client was killed while it asked")
        self._handle(json.loads(body))

    def _handle(self, body: dict[str, Any]) -> None:
        service = self.service
        if self.path == "/control":
            self._send(200, service.control(body))
            return
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        fault = service.next_fault(self.path)
        asked = {"path": self.path, "body": body, "time": time.monotonic(), "key": key, "fault": fault}
        service.requests.append(asked)
        if fault == "nonsense":
            count = 1 if "n" in service.options["lacks"] else body.get("n", 1)
            self._send(200, {"choices": [{"message": {"content": "天气很好。"}}] * count})
        elif fault is not None:
            self._fail(fault)
        elif service.options["key"] and key != service.options["key"]:
            self._send(401, {"error": "Unauthorized"})
        elif self.path in ("/v1/models", "/v1/chat/completions", "/v1/embeddings"):
            try:
                if self.path == "/v1/models":
                    self._send(200, service.listed())
                    return
                time.sleep(service.options["delay"])
                self._send(200, service.ask(body) if self.path.endswith("completions") else service.embed(body))
            except Refused as refusal:
                self._send(refusal.status, refusal.body)
        else:
            self._send(404, {"detail": "Not Found"})

    def _fail(self, fault: str) -> None:
        self.close_connection = True
        if fault == "stall":
            time.sleep(30)
        elif fault == "half":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
        elif fault in ("gzip", "packed"):
            answer = {"choices": [{"message": {"content": self.service.options["answer"]}}]}
            data = json.dumps(answer).encode()
            data = gzip.compress(data) if fault == "gzip" else data
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        elif fault.startswith("data:"):
            self._send(200, fault, {"Content-Type": "text/event-stream"})
        elif fault == "garbage":
            self._send(200, "<html>Welcome to nginx!</html>")
        elif fault.startswith("{"):
            self._send(200, json.loads(fault))
        elif fault[:3].isdigit() and " " in fault:
            status, _, address = fault.partition(" ")
            self._send(int(status), {}, {"Location": address})
        elif fault != "drop":
            body = {"error": {"message": "EngineCore died", "type": "InternalServerError"}}
            self._send(int(fault), body, {"Retry-After": "1"} if fault == "429" else {})

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:  # untold, the client may send its next request just before it learns of that
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr: a test's own output is hard enough to read."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away after its timeout is no error; any other ends the process, so that tests see it."""
        if not isinstance(sys.exception(), ConnectionError):
            sys.excepthook(*sys.exc_info())
            os._exit(1)


def main() -> None:
    options, folder, *model = sys.argv[1:]
    Handler.service = Service(json.loads(options), Path(folder), model[0] if model else None)
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # ends when the test run does, however it does


if __name__ == "__main__":
    main()
