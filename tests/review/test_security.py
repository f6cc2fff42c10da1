"""What strangers, other sites and odd data cannot do to the page."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from reviewed_shop import MARKUP, ORIGIN, stored
from rule_files import TASK, contents

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.review.app import create_app

TEMPLATES = Path(__file__).parents[2] / "kdsl" / "review" / "templates"
ROOT = f"/t/{TASK}"
TOKEN = "geheim-Geheim"


def test_markup_in_data_stays_text_everywhere(client, site):
    rules = [each.rule.id for each in site.store.rules(TASK)]
    pages = [f"{ROOT}/rules", f"{ROOT}/gaps", f"{ROOT}/progress", f"{ROOT}/samples?kind=cell", f"{ROOT}/sample?id=s1",
             f"{ROOT}/rules?text={MARKUP}", f"{ROOT}/new?term={MARKUP}&label={MARKUP}", f"{ROOT}/rules/{MARKUP}",
             *(f"{ROOT}/rules/{id}" for id in rules)]  # fmt: skip
    for page in pages:
        text = client.get(page).text
        assert "<script>alert" not in text and "<b>其他" not in text, page
    assert "&lt;script&gt;" in client.get(f"{ROOT}/sample?id=s1").text


def test_images_come_by_opaque_id_and_only_images_of_the_image_folder(client, site):
    good = client.get(f"/image/{site.media.address('a.png')}")
    assert good.status_code == 200 and good.headers["content-type"] == "image/png"
    for name in ("../secret.png", "page.html", "nothing.png"):
        assert client.get(f"/image/{site.media.address(name)}").status_code == 404
    for path in ("/image/a.png", "/image/..%2Fsecret.png", "/static/../app.py", "/static/%2e%2e/app.py"):
        assert client.get(path).status_code == 404


def test_a_page_allows_nothing_from_elsewhere(client):
    answer = client.get(f"{ROOT}/rules")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|\son\w+=|<script>|https?://|\|\s*safe|Markup", text), template.name


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://testserver:81"])
def test_a_change_from_another_site_is_refused(client, site, origin):
    before = contents(site.config.rules)
    each = stored(site, "亮度")
    form = {"version": each.version, "status": "accepted"}
    answer = client.post(f"{ROOT}/rules/{each.rule.id}/decide", data=form, headers={"origin": origin})
    assert answer.status_code == 403 and contents(site.config.rules) == before


def test_another_name_for_this_computer_is_refused(client):
    assert client.get(f"{ROOT}/rules", headers={"host": "evil.example"}).status_code == 400


@pytest.fixture
def stranger(live) -> TestClient:
    """Somebody on this computer who does not know the token."""
    app = create_app(live, ["testserver"], token=TOKEN, background=False)
    return TestClient(app, headers=ORIGIN, follow_redirects=False)


def test_a_token_lets_in_once_and_a_cookie_from_then_on(stranger):
    answer = stranger.get(f"{ROOT}/rules?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["referrer-policy"] == "no-referrer"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"kdsl_token_80={TOKEN};") and "HttpOnly" in cookie and "SameSite=lax" in cookie
    page = stranger.get(f"{ROOT}/rules")
    assert page.status_code == 200 and TOKEN not in page.text and TOKEN not in str(page.headers)


def test_without_the_token_no_address_says_more_than_that_it_is_needed(stranger, live):
    image, rule = live.site.media.address("a.png"), stored(live.site, "亮度").rule.id
    before = contents(live.site.config.rules)
    answers = set()
    for path, methods in stranger.app.openapi()["paths"].items():
        place = path.format(task=TASK, id=rule, address=image)
        for method in (*methods, "head", "options", "put"):
            answers.add(stranger.request(method, place, content=b"status=accepted").text)
    for place in ("/static/review.js", "/static/nothing", "/nothing", "//", "/favicon.ico", "/openapi.json", "/docs"):
        answers.add(stranger.get(place).text)
    assert answers == {"", "Open the address that kdsl review printed: it holds the token."}
    assert contents(live.site.config.rules) == before


@pytest.mark.parametrize("given", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é", "%ff", "%00", "9" * 5000])
def test_another_token_is_refused_wherever_it_stands(stranger, given):
    assert stranger.get(f"{ROOT}/rules?token={given}").status_code == 401
    assert stranger.get(f"{ROOT}/rules", headers={"cookie": f"kdsl_token_80={given}".encode()}).status_code == 401
    assert stranger.post(f"{ROOT}/undo", data={"token": TOKEN}).status_code == 401


def test_the_cookie_of_a_page_on_another_port_opens_nothing(stranger):
    assert stranger.get(f"{ROOT}/rules", headers={"cookie": f"kdsl_token_8321={TOKEN}"}).status_code == 401


def test_there_is_no_socket_beside_the_page(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{ROOT}/rules"):
        pass


def test_nobody_decides_under_another_name_than_the_page_was_started_with(client, site):
    each = stored(site, "亮度")
    client.cookies.set("kdsl_name", quote("小李"))
    client.post("/settings", data={"name": "小李"})
    form = {"version": each.version, "status": "accepted", "name": "小李", "by": "小李", "as": "小李"}
    client.post(f"{ROOT}/rules/{each.rule.id}/decide?name=小李", data=form)
    assert stored(site, "亮度").rule.review.by == "小王"
    assert [event.by for event in site.store.history()] == ["小王"]
    page = client.get(f"{ROOT}/rules", headers={"hx-request": "false"}).text
    assert "<b>小王</b>" in page and "小李" not in page
