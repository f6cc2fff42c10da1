"""Who may ask the service."""

import pytest
from starlette.requests import Request

from kdsl.serve.refusal import Refusal
from kdsl.serve.security import Guard


def request(path="/v1/predict", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": raw})


WITH_TOKEN = Guard("s3cret", ["/healthz"])
WITHOUT = Guard(None, ["/healthz"])


def refusal(guard: Guard, asked: Request) -> Refusal:
    with pytest.raises(Refusal) as refused:
        guard.check(asked)
    return refused.value


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_who_brings_the_token_may_ask_from_anywhere(scheme):
    WITH_TOKEN.check(request(authorization=f"{scheme} s3cret", host="kdsl.example", origin="https://shop.example"))


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer "}, {"authorization": "s3cret"},
                {"authorization": "Basic s3cret"}, {"authorization": "Bearer s3cre\xff"}],
)  # fmt: skip
def test_who_brings_another_one_or_none_is_told_how_to_send_it(headers):
    refused = refusal(WITH_TOKEN, request(**headers))
    assert (refused.status, refused.headers) == (401, {"WWW-Authenticate": "Bearer"})
    assert "`Authorization: Bearer TOKEN`" in refused.sentence
    assert "s3cret" not in refused.sentence


def test_what_tells_nothing_needs_no_token():
    WITH_TOKEN.check(request("/healthz"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8400", "localhost:8400", "LOCALHOST", "[::1]:8400"])
def test_without_a_token_this_computer_may_ask(host):
    WITHOUT.check(request(host=host))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8400", "127.0.0.1.evil.example", "10.0.0.1:8400", ""])
def test_but_not_by_a_name_that_another_site_may_own(host):
    refused = refusal(WITHOUT, request("/healthz", host=host))
    assert refused.status == 400
    assert "without a token ask 127.0.0.1" in refused.sentence


def test_pages_of_other_sites_may_not_ask_and_the_service_s_own_may():
    WITHOUT.check(request(host="127.0.0.1:8400", origin="http://127.0.0.1:8400"))
    for origin in ("https://evil.example", "http://127.0.0.1:9", "null", "http://127.0.0.1:8400.evil.example"):
        assert refusal(WITHOUT, request(host="127.0.0.1:8400", origin=origin)).status == 403
