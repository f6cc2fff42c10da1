"""What strangers, other sites and odd data cannot do to the page."""

import re
from pathlib import Path

import pytest
from reviewed_shop import MARKUP, stored
from rule_files import TASK, contents

pytest.importorskip("fastapi", reason="needs kdsl[review]")
from fastapi.testclient import TestClient

from kdsl.review.app import create_app

TEMPLATES = Path(__file__).parents[2] / "kdsl" / "review" / "templates"
ROOT = f"/t/{TASK}"


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
    good = client.get(f"/image/{site.image_address('a.png')}")
    assert good.status_code == 200 and good.headers["content-type"] == "image/png"
    for name in ("../secret.png", "page.html", "nothing.png"):
        assert client.get(f"/image/{site.image_address(name)}").status_code == 404
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


def test_a_token_lets_in_once_and_a_cookie_from_then_on(live):
    client = TestClient(create_app(live, ["testserver"], token="geheim", background=False))
    assert client.get(f"{ROOT}/rules").status_code == 401
    assert client.get(f"{ROOT}/rules?token=falsch").status_code == 401
    answer = client.get(f"{ROOT}/rules?token=geheim", follow_redirects=False)
    assert answer.status_code == 303 and "token" not in answer.headers["location"]
    assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=strict" in answer.headers["set-cookie"]
    assert client.get(f"{ROOT}/rules").status_code == 200
