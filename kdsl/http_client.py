"""Talking to an OpenAI-compatible server: connections, timeouts, retries, and errors told in one sentence."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Self

import urllib3
from urllib3 import BaseHTTPResponse, encode_multipart_formdata
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    MaxRetryError,
    ProtocolError,
    ReadTimeoutError,
    ResponseError,
)
from urllib3.util import Retry, Timeout

from kdsl.errors import KdslError
from kdsl.hosts import API_KEY, BASE_URL, KEYS, Consent, Server, contact, user_folder
from kdsl.pretrained import is_path

_log = logging.getLogger(__name__)

FormField = str | tuple[str, bytes, str]
"""A text, or a file: its name, what stands in it, and its media type."""

_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_TIMEOUTS = 3
"""How often a request may time out: other faults show at once and are retried more often."""
_FAILURES = 3
"""How often in a row a request may get the same answer of status 500 at once: then it is the request at which the
server fails, or all of it is broken. Balancers answer 502, 503 and 504 while they have no server; behind one, the same
request would have met three broken servers."""
_AT_ONCE = 10
"""Seconds between two such answers, the pause among them: failures after long work may be those of a load."""
_LONGEST_PAUSE = 60
"""Seconds that are waited at most, whatever Retry-After says."""
_SHOWN = 200
"""Characters of a server's message that an error quotes."""
# As worded by vLLM, SGLang, llama.cpp and OpenAI, in this order, then by TGI and services of Chinese vendors.
_TOO_LONG = re.compile(
    r"context (?:length|window)|maximum model length|context size|context_length_exceeded"
    r"|`inputs`(?: tokens)? (?:\+|must have less)|(?:input|prompt|token)s? (?:length|count)\b.*(?:should|too long)"
    r"|(?:input|prompt|request) (?:is|was) too (?:long|large)"
    r"|(?:input|prompt|request)\b.*\bexceed.*(?:length|tokens?\b)"
    r"|(?:输入|提示词?|上下文|请求)[^。；]{0,20}(?:过长|超长|超过|超出)",
    re.IGNORECASE | re.DOTALL,
)


class ServerError(KdslError):
    """The server answered with an HTTP status that is not a success, after all retries, or with an error under 200."""

    def __init__(self, url: str, status: int, message: str, server: Server) -> None:
        self.status = status
        self.message = message
        self.told = f"{url}: the server answers {status} ({message or 'without a message'})"
        super().__init__(f"{self.told}; {_advice(status, server)}")

    @property
    def refused(self) -> bool:
        """Whether the server took the request for wrong, so that another form of it may do."""
        return self.status in (200, 400, 413, 415, 422, 501)

    @property
    def too_long(self) -> bool:
        """Whether the prompt does not fit the model's context."""
        return self.status < 500 and bool(_TOO_LONG.search(self.message))


class Unanswered(KdslError):
    """The server gives no answer, after all retries."""


class HttpClient:
    """JSON over HTTP, for several threads at once.

    Status 429 and 5xx, timeouts and broken connections are retried with exponential back-off and jitter, a 500 that
    repeats at once only twice. Retry-After is kept; redirections and proxies of the environment are not followed.
    Whether the server may be contacted, and which key it gets, `kdsl.hosts` says.
    """

    def __init__(
        self, address: str, timeout: float, retries: int, concurrency: int, consent: Consent | None = None
    ) -> None:
        """`address`: with /v1; `timeout`: seconds for one answer; `concurrency`: requests at the same time.

        Raises KdslError as `contact` does.
        """
        self._server = contact(address, consent)
        self.url = self._server.url
        self._timeout = timeout
        self._attempts = min(retries + 1, _TIMEOUTS)
        self._retries = retries
        self._told = False
        headers = {"Accept": "application/json"}
        if self._server.key:
            headers["Authorization"] = f"Bearer {self._server.key}"
        # `block` keeps more requests than `concurrency` waiting.
        self._pool = urllib3.PoolManager(
            maxsize=concurrency,
            block=True,
            headers=headers,
            timeout=Timeout(connect=min(timeout, 10), read=timeout),
            retries=_Patience(
                tell=self._tell,
                total=retries,
                redirect=False,
                allowed_methods=None,  # a question may be asked again
                status_forcelist=_RETRIED,
                backoff_factor=0.5,
                backoff_jitter=0.5,
                backoff_max=_LONGEST_PAUSE,
                retry_after_max=_LONGEST_PAUSE,
                raise_on_status=False,
            ),
        )

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`, such as /models. Raises ServerError for a status that is not a success,
        Unanswered when there is no answer, and KdslError when it is not a JSON object.
        """
        return self._request("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What `path` answers to a JSON object; errors as of `get`."""
        return self._request("POST", path, json.dumps(body, ensure_ascii=False).encode("utf-8"))

    def post_form(self, path: str, fields: Sequence[tuple[str, FormField]]) -> dict[str, Any]:
        """What `path` answers to a form (multipart/form-data) of these fields; errors as of `get`."""
        body, kind = encode_multipart_formdata(fields)
        return self._request("POST", path, body, kind)

    def garbage(self, path: str, what: str) -> KdslError:
        """The error for an answer that lacks what it should hold."""
        return KdslError(f"{self.url}{path}: {what}; is this the address of an OpenAI-compatible server?")

    def _request(self, method: str, path: str, body: bytes | None, kind: str = "application/json") -> dict[str, Any]:
        headers = {**self._pool.headers, "Content-Type": kind}
        try:
            response = self._pool.request(method, self.url + path, body=body, headers=headers, redirect=False)
        except MaxRetryError as error:
            raise self._unanswered(path, error.reason or error) from error
        except DecodeError as error:
            raise self.garbage(path, f"the server answers what cannot be unpacked ({error.args[0]})") from error
        except HTTPError as error:
            raise self._unanswered(path, error) from error
        text = response.data.decode("utf-8", errors="replace")
        if not 200 <= response.status < 300:
            raise ServerError(self.url + path, response.status, _message(text), self._server)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self.garbage(path, f"the server answers {_shortened(text)!r} instead of a JSON object")
        if answer.get("choices") is None and answer.get("data") is None and (status := _told_status(answer)):
            raise ServerError(self.url + path, status, _message(text), self._server)
        return answer

    def _tell(self, error: Exception) -> None:
        """Warn of the first request that is made again: nothing else is heard for as long as that goes on."""
        if self._told:
            return
        self._told = True
        what = "cannot be reached"
        if isinstance(error, ReadTimeoutError):
            what = f"does not answer within {self._timeout:g} seconds"
        elif isinstance(error, ProtocolError):
            what = "breaks off the connection"
        _log.warning("%s: the server %s; such requests are made again, up to %d times", self.url, what, self._retries)

    def _unanswered(self, path: str, reason: Exception) -> Unanswered:
        url = self.url + path
        if isinstance(reason, ReadTimeoutError):
            return Unanswered(
                f"{url}: no answer within {self._timeout:g} seconds, asked {self._attempts} times; the server hangs "
                "or is overloaded: look at its log, or ask it less at the same time"
            )
        if isinstance(reason, ProtocolError):
            return Unanswered(f"{url}: the connection breaks off ({reason.args[-1]}); look at the server's log")
        text = str(reason).rsplit(": ", 1)[-1]
        return Unanswered(f"{url}: cannot be reached ({text}); start the server, or correct the address")


def served_models(client: HttpClient, name: str) -> dict[str, dict[str, Any]]:
    """Model name → what the server says of it; KdslError where it says nothing of the kind.

    A server that lists none is believed to have the one called `name`: not every proxy lists its models, and
    `transformers serve` lists what the hub's cache holds, a directory never, and answers 500 where there is no cache.
    """
    try:
        answer = client.get("/models")
    except ServerError as error:
        if error.status in (404, 500) and name:
            return {name: {}}
        if error.status == 500:
            raise KdslError(f"{error.told}; {_to_name(client.url)}") from error
        raise
    models = answer.get("data")
    if not isinstance(models, list) or not all(isinstance(m, dict) and isinstance(m.get("id"), str) for m in models):
        raise client.garbage("/models", "an answer without a list of models")
    listed = {model["id"]: model for model in models}
    return listed if listed or not name else {name: {}}


def chosen_model(url: str, served: dict[str, dict[str, Any]], name: str) -> str:
    """The model called `name`, or the only one; KdslError where that is none of the `served` ones.

    A path need not be one of them: beside what `transformers serve` lists it has the directory that it was
    started with.
    """
    if not served:
        raise KdslError(f"{url}: the server lists no model; {_to_name(url)}")
    names = ", ".join(served)
    if name and name not in served and not is_path(name):
        raise KdslError(f"{url}: the server has no model {name!r}; it serves {names}")
    if not name and len(served) != 1:
        example = next(iter(served))
        raise KdslError(f"{url}: name one of the models that the server has ({names}), like {url}#{example}")
    return name or next(iter(served))


def _to_name(url: str) -> str:
    return f"load one there, or give its name as the server was given it, like {url}#/models/Qwen2-VL-2B-Instruct"


class _Patience(Retry):
    """Gives up earlier when the server hangs, or fails at the request itself, than when it fails for a while; tells of
    requests without an answer."""

    def __init__(self, *arguments: Any, tell: Callable[[Exception], None], **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._tell = tell
        self._failed: tuple[bytes, float, int] = (b"", 0.0, 0)
        """The last answer of status 500, when it came (seconds), and how often in a row it was the same."""

    def new(self, **keywords: Any) -> Self:
        following = super().new(tell=self._tell, **keywords)
        following._failed = self._failed
        return following

    def increment(self, *arguments: Any, **keywords: Any) -> Self:
        error = keywords.get("error")
        timeouts = sum(isinstance(past.error, ReadTimeoutError) for past in self.history) + 1
        if isinstance(error, ReadTimeoutError) and timeouts >= _TIMEOUTS:
            raise MaxRetryError(error.pool, error.url or "", error) from error
        following = super().increment(*arguments, **keywords)
        following._failed = self._counted(keywords.get("response"))
        if following._failed[2] >= _FAILURES:
            raise MaxRetryError(keywords["_pool"], "", ResponseError("it fails at this request"))
        if error is not None:
            self._tell(error)
        return following

    def _counted(self, response: BaseHTTPResponse | None) -> tuple[bytes, float, int]:
        if response is None or response.status != 500:
            return b"", 0.0, 0
        body, before, times = self._failed
        now = monotonic()
        again = times > 0 and body == response.data and now - before < _AT_ONCE
        return response.data, now, times + 1 if again else 1


def _advice(status: int, server: Server) -> str:
    if status in (401, 403) and server.variable is None:
        return (
            f"no key was sent, as none belongs to this server: set {BASE_URL} to its address for the key in "
            f"{API_KEY}, or name both in {user_folder() / KEYS}"
        )
    if status in (401, 403):
        return f"set the environment variable {server.variable} to a key that this server accepts"
    if 300 <= status < 400:
        return "it sends elsewhere, which is not followed: give the address of the server itself"
    if status == 404:
        return (
            "the address of an OpenAI-compatible server ends in /v1, and the model's name must be one that it serves"
        )
    if status == 429:
        return "it limits how much may be asked: wait, or ask less at the same time"
    return "its log says why" if status >= 500 else "the server or its model does not take such a request"


def _told_status(answer: dict[str, Any]) -> int | None:
    """The status of an error that is told under a status of success: its own code, or 200; None for no error."""
    error = answer.get("error") or (answer if answer.get("object") == "error" and answer.get("message") else None)
    code = error.get("code") if isinstance(error, dict) else None
    return None if error is None else code if isinstance(code, int) and 400 <= code < 600 else 200


def _message(text: str) -> str:
    """The message in an error's body: {"error": {"message"}} of OpenAI and vLLM, {"message"}, {"detail"}."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return _shortened(text)
    if not isinstance(body, dict):
        return _shortened(text)
    error = body.get("error")
    if not isinstance(error, dict):
        return _shortened(str(error or body.get("message") or body.get("detail") or text))
    # Where the message is translated, only the code tells that a prompt is too long.
    return _shortened(" ".join(str(error[key]) for key in ("message", "code") if isinstance(error.get(key), str)))


def _shortened(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
