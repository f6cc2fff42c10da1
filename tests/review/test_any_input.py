"""Whatever a stranger sends to any address of the page is answered with a sentence, and breaks nothing."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reviewed_shop import LABELS, MARKUP, ORIGIN, open_shop
from rule_files import TASK

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

import kdsl.review
from kdsl.errors import KdslError
from kdsl.review import progress_routes
from kdsl.review.app import create_app
from kdsl.review.condition_form import Row
from kdsl.rules.rulebase import RuleBase

SOURCES = Path(kdsl.review.__file__).parent
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
PART = b"--x\r\nContent-Disposition: form-data; "
MANY_DIGITS = "9" * 4400
"""More than Python turns into a number."""


def field_names() -> list[str]:
    """Everything that a form sends, read from the page's own sources."""
    names = {"field-0", "test-0", "not-0", f"field-{MANY_DIGITS}", "field--1", "test-N"}
    names |= {f"{name}-0" for name in Row.__dataclass_fields__}
    for template in (SOURCES / "templates").glob("*.html"):
        names |= set(re.findall(r'name="([\w-]+)"', template.read_text(encoding="utf-8")))
    return sorted(names | names_read(r'form\["([\w-]+)"'))


def names_read(pattern: str) -> set[str]:
    return {
        name for module in SOURCES.glob("*.py") for name in re.findall(pattern, module.read_text(encoding="utf-8"))
    }


ASKED = sorted(names_read(r'(?:values|params)\.(?:get|getlist)\("([\w-]+)"') | {"id"})
"""What routes look for in an address."""
FIELDS = sorted({*field_names(), *ASKED})
ODD = [
    "", MANY_DIGITS, "-1", "--5", "-", "1e400", "NaN", "٣", "²", "0x10", "a\x00b", "\ufffd", "\u202e\u2028",
    "😊" * 200,
    "x" * 10_000, "x" * 30_000, "../../../etc/passwd", "..%2f", "a/b", "C:\\x", "%ED%A0%80", "%", MARKUP,
    "{{ 7 * 7 }}", "r-none", ">=" + MANY_DIGITS, "<nan", "1=1\n2=2", " ", "'", '"',
]  # fmt: skip
"""In all fields at once, 10,000 letters are a body that is read, and 30,000 one that is too long."""
VERY_LONG = "x" * 1_000_000
KNOWN = [
    TASK, *LABELS, "s0", "s1", "accepted", "rejected", "hit", "miss", "none", "zh", "dark", "user", "ocr", "turns",
    "means", "image.colour", "image.kind", "ocr.size", "top", "orange", "photo", "0.5",
    ">=1", "亮度", "wrong", "uncovered", "cell", "model", "sort=coverage&status=all", "1", "0", "2",
]  # fmt: skip


class Shop:
    """The page over a small shop, and what is known of it by those who look at it."""

    def __init__(self, folder: Path) -> None:
        self.live = open_shop(folder)
        app = create_app(self.live, ["testserver"], background=False)
        self.client = TestClient(app, headers={"origin": ORIGIN["origin"]}, follow_redirects=False)
        self.routes = sorted((path, method.upper()) for path, of in app.openapi()["paths"].items() for method in of)
        self._read: dict[str, tuple[int, int]] = {}

    def values(self) -> list[str]:
        rules = self.live.site.store.rules(TASK)
        address = self.live.site.media.address("a.png")
        return [*ODD, VERY_LONG, *KNOWN, *(each.rule.id for each in rules), *(each.version for each in rules), address]

    def require_rules(self) -> None:
        """All rules are still rules; read again where a file of them has changed."""
        folder = self.live.site.config.rules
        stats = {str(path): path.stat() for path in folder.rglob("*")}
        files = {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items()}
        if files != self._read:
            RuleBase.load(folder, TASK)
            self._read = files


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Iterator[Shop]:
    def measure(*_: object) -> None:
        raise KdslError("not measured in this test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress_routes, "measure", measure)
        yield Shop(tmp_path_factory.mktemp("shop"))


def answered(shop: Shop, method: str, address: str, log: pytest.LogCaptureFixture, **sent: object) -> int:
    """The status; fails for an exception (the client raises it), a traceback, and a refusal without words."""
    log.clear()
    answer = shop.client.request(method, address, **sent)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and method != "HEAD":
        assert len(answer.text.strip()) > 10 and "Traceback" not in answer.text
    assert [each for each in log.records if each.levelno >= logging.ERROR] == []
    return answer.status_code


def test_all_routes_are_tried(shop):
    assert ("/t/{task}/rules/{id}/decide", "POST") in shop.routes and len(shop.routes) > 18


def sent(shop: Shop, log: pytest.LogCaptureFixture, path: str, method: str, fields: dict[str, str], **headers: str):
    """Send the fields in the address and, to a route that takes one, in a form too; then all rules are still rules."""
    query = urlencode({name: fields[name][:4400] for name in ASKED if name in fields})
    form = {"content": urlencode(fields)} if method == "POST" else {}
    answered(shop, method, f"{path}?{query}", log, headers={"content-type": FORM, **headers}, **form)
    assert shop.live.site.store.problems == {}
    shop.require_rules()


@pytest.mark.parametrize("value", ODD, ids=lambda value: ascii(value[:12]) + str(len(value)))
def test_an_odd_value_in_every_field_of_every_route_is_no_more_than_a_refusal(shop, caplog, value):
    id = shop.live.site.store.rules(TASK)[0].rule.id
    for path, method in shop.routes:
        for known in (path.replace("{task}", TASK).replace("{id}", id), path):
            place = re.sub(r"\{\w+\}", quote(value[:200], safe=""), known)
            sent(shop, caplog, place, method, dict.fromkeys(FIELDS, value))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_mixture_of_odd_and_known_values_is_more_than_a_refusal(shop, caplog, data):
    values = st.one_of(st.sampled_from(shop.values()), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
    path, method = data.draw(st.sampled_from(shop.routes))
    place = path.replace("{task}", TASK)
    place = re.sub(r"\{\w+\}", lambda _: quote(data.draw(values)[:200], safe=""), place)
    fields = data.draw(st.dictionaries(st.sampled_from(FIELDS), values, max_size=12))
    odd = data.draw(st.sampled_from([{}, {"hx-request": "true"}, {"referer": "http://["}, {"cookie": 'a="\\377'}]))
    sent(shop, caplog, place, method, fields, **odd)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", json.dumps({"status": "accepted"}).encode(), 422),
        (PARTS, PART + b'name="queue"\r\n\r\n1\r\n--x--\r\n', 422),
        (PARTS, PART + b'name="f"; filename="../x"\r\n\r\n1\r\n--x--\r\n', 422),
        ("text/plain", b"status=accepted", 422),
        ("", b"status=accepted", 422),
        (FORM, b"status=accepted&status=rejected", 422),
        (FORM, b"status=\xff", 422),
        (FORM, b"notes=%ED%A0%80", 422),
        (FORM, b"notes=%FF", 422),
        (FORM, b"a=1&" * 501, 422),
        (FORM, b"notes=" + b"x" * (1 << 20), 413),
    ],
)  # fmt: skip
def test_a_body_that_no_form_of_the_page_sends_is_refused_by_every_route_that_reads_one(
    shop, caplog, kind, body, status
):
    reading = [path for path, method in shop.routes if method == "POST" and not path.endswith("/measure")]
    id = shop.live.site.store.rules(TASK)[0].rule.id
    for path in reading:
        place = path.format(task=TASK, id=id)
        assert answered(shop, "POST", place, caplog, content=body, headers={"content-type": kind}) == status, path


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-length": MANY_DIGITS}, 413),
        ({"content-length": "-1"}, 413),
        ({"content-length": "٣".encode()}, 413),
        ({"origin": "http://[::1"}, 403),
        ({"host": "[::1"}, 400),
        ({"referer": "http://[::1"}, 200),
    ],
)
def test_odd_headers_are_refused(shop, caplog, headers, status):
    sent = {"content-type": FORM, **headers}
    assert answered(shop, "POST", f"/t/{TASK}/preview", caplog, content=b"id=", headers=sent) == status


def test_a_body_of_unknown_length_is_refused(shop, caplog):
    def chunks() -> Iterator[bytes]:
        yield b"queue="

    assert answered(shop, "POST", f"/t/{TASK}/undo", caplog, content=chunks(), headers={"content-type": FORM}) == 411


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "PATCH", "PROPFIND", "NONSENSE"])
def test_other_methods_do_nothing(shop, caplog, method):
    for path in {path for path, _ in shop.routes if (path, method) not in shop.routes}:
        place = path.format(task=TASK, id="r-none", address="0")
        assert answered(shop, method, place, caplog, content=b"") in (403, 405, 411), path


@pytest.mark.parametrize(
    "path",
    ["/static/%00", "/static/..%2fapp.py", "/static/%2e%2e/%2e%2e/errors.py", "/static//etc/passwd", "/static/",
     "/static", "/static/review.js/x", f"/static/{'a' * 300}", "/image/%00", "/image/..%2fsecret.png",
     "/sound/..%2fsecret.wav/wav", "//etc/passwd",
     "/t/%2e%2e/rules", "/t/a%2fb/rules", "/t//rules", "/t/%00/rules", "/%ff", "/t/x/rules/a%2fb/edit"],
)  # fmt: skip
def test_tricks_with_paths_find_nothing(shop, caplog, path):
    assert answered(shop, "GET", path, caplog) in (307, 404, 405, 422)


@pytest.mark.parametrize("number", [MANY_DIGITS, "-1", "0x1", "٣", "1.0", "NaN"])
def test_an_undo_of_no_number_undoes_nothing(shop, number):
    each = shop.live.site.store.rules(TASK)[0]
    shop.client.post(f"/t/{TASK}/rules/{each.rule.id}/note", data={"version": each.version, "notes": number})
    answer = shop.client.post(f"/t/{TASK}/undo", data={"number": number})
    assert answer.status_code == 422 and "is no number of a decision" in answer.text
    assert shop.live.site.store.get(TASK, each.rule.id).rule.notes == number


def test_a_sample_that_is_not_there_is_not_pinned(shop):
    each = shop.live.site.store.rules(TASK)[0]
    form = {"version": each.version, "sample": "s99", "must": "hit"}
    answer = shop.client.post(f"/t/{TASK}/rules/{each.rule.id}/pin", data=form)
    assert answer.status_code == 422 and "has no sample" in answer.text


@pytest.mark.parametrize("number", ["1234567", "0.00000001", "1" + "0" * 300, "9" * 400])
def test_a_rule_that_compares_with_an_odd_number_stays_a_rule_or_is_not_saved(shop, number):
    form = {"label": LABELS[2], "field-0": "turns", "test-0": f">={number}"}
    answer = shop.client.post(f"/t/{TASK}/new", data=form)
    saved = [str(each.rule.conditions[0].comparison) for each in shop.live.site.store.rules(TASK)]
    assert shop.live.site.store.problems == {}
    assert (answer.status_code, f">={number}" in saved) in ((303, True), (422, False)), answer.text
