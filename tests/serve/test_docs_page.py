"""The page /docs: it works in a browser without internet, holds nothing of the project, and speaks two languages."""

import re
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import watched

pytest.importorskip("playwright", reason="needs the extra test")
pytest.importorskip("fastapi", reason="needs the extra serve")
from playwright.sync_api import Browser, BrowserContext, Page, expect
from service_on_port import on_port
from service_shop import opened

from kdsl.sample import Label, Task
from kdsl.serve import docs_page
from kdsl.serve.docs_page import chinese
from kdsl.serve.openapi import REFUSALS, openapi

TOKEN = "secret-token"
TOPICS = Task("topics", (Label("质量"), Label("物流")), multi=True)
expect.set_options(timeout=120_000)  # of what never comes


@pytest.fixture(scope="module")
def address(trained_shop, tmp_path_factory) -> Iterator[str]:
    """Of the service."""
    shop = shutil.copytree(trained_shop, tmp_path_factory.mktemp("page") / "shop")
    with on_port(opened(shop), TOKEN) as service:
        yield f"http://127.0.0.1:{service.port}"


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """Fails for whatever goes elsewhere, and for whatever is written to the console but that the token is missing."""
    with watched(browser, address) as (context, wrong):
        yield context
    assert [each for each in wrong if not re.search("status of 4(01|22)", each)] == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """Opened with the token."""
    page = context.new_page()
    page.goto(f"/docs#token={TOKEN}")
    expect(page.locator("#ask")).to_be_visible()
    return page


def test_the_token_leaves_the_address_and_stays_for_the_tab(page, address):
    assert page.url == f"{address}/docs"
    page.reload()
    expect(page.locator("#ask")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0 and page.context.cookies() == []


def test_without_the_token_the_page_asks_for_it_and_says_when_it_is_wrong(context):
    page = context.new_page()
    page.goto("/docs")
    expect(page.locator("#enter")).to_be_visible()
    expect(page.locator("#ask")).to_be_hidden()
    expect(page.locator("#alert")).to_be_hidden()
    page.fill("#token", "another")
    page.click("#enter button")
    expect(page.locator("#alert")).to_contain_text("the token is missing or wrong")
    page.fill("#token", TOKEN)
    page.click("#enter button")
    expect(page.locator("#task option")).to_have_text(["returns", "desk"])
    expect(page.locator("#enter")).to_be_hidden()
    expect(page.locator("#alert")).to_be_hidden()


def test_a_text_is_decided_and_its_evidence_marked(page):
    page.fill("textarea", "我要退款 <b>now</b> style= x")
    page.keyboard.press("Control+Enter")
    explanation = page.locator("#explanation")
    expect(explanation.locator(".headline b")).to_have_text("退款")
    expect(explanation).to_contain_text("<b>now</b> style= x")
    expect(explanation.locator("mark").first).to_have_text("退款")
    assert (
        explanation.locator("mark").first.evaluate("it => getComputedStyle(it).backgroundColor") != "rgba(0, 0, 0, 0)"
    )
    assert explanation.locator("i.bar").first.evaluate("it => it.offsetWidth") > 20
    expect(page.locator("#answer")).to_contain_text('"label": "退款"')
    expect(page.locator("#request")).to_contain_text("/v1/predict")


def test_several_turns_are_a_dialogue_and_one_of_them_can_be_taken_out(page):
    page.fill("textarea", "太小了")
    page.click("#add")
    page.locator("textarea").nth(1).fill("哪一双？")
    assert page.locator(".turn select").nth(1).input_value() == "agent"
    page.click("#predict")
    expect(page.locator("#explanation")).to_contain_text("哪一双？")
    expect(page.locator("#request")).to_contain_text('"turns":[{"role":"user","text":"太小了"},{"role":"agent"')
    page.locator(".turn button").nth(0).click()
    page.click("#predict")
    expect(page.locator("#request")).to_contain_text('"text":"哪一双？"')


def test_a_picture_goes_along_and_can_be_taken_out(page, tmp_path):
    from PIL import Image

    picture = tmp_path / "屏.png"
    Image.new("RGB", (40, 60), "white").save(picture)
    page.set_input_files("#files", picture)
    page.fill("textarea", "太小了")
    page.click("#predict")
    expect(page.locator("#explanation")).to_contain_text("屏.png")
    expect(page.locator("#request")).to_contain_text('"images":[{"name":"屏.png","base64":"iVBORw0KGgoA…"}]')
    page.click("#media button")
    page.click("#predict")
    expect(page.locator("#explanation")).not_to_contain_text("屏.png")


def test_a_sound_goes_along_can_be_played_and_taken_out(page, tmp_path):
    message = tmp_path / "留言.wav"
    with wave.open(str(message), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(b"\x10\x01\x00\xff" * 8000)
    page.set_input_files("#files", message)
    audio = page.locator("#media audio")
    page.wait_for_function("audio => audio.duration === 2", arg=audio.element_handle())
    page.fill("textarea", "太小了")
    page.click("#predict")
    expect(page.locator("#explanation")).to_contain_text("留言.wav")
    expect(page.locator("#request")).to_contain_text('"audio":[{"name":"留言.wav","base64":"UklGR')
    page.click("#media button")
    page.click("#predict")
    expect(page.locator("#explanation")).not_to_contain_text("留言.wav")
    expect(page.locator("#request")).not_to_contain_text("audio")


@pytest.mark.parametrize("width", [1280, 390])
def test_files_that_go_along_are_no_wider_than_the_screen(page, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 800})
    (tmp_path / f"{'a' * 100}.amr").write_bytes(b"#!AMR\n")
    page.set_input_files("#files", tmp_path / f"{'a' * 100}.amr")
    expect(page.locator("#media audio")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_the_service_refuses_stands_above_the_form_and_nothing_below_it(page, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    page.set_input_files("#files", tmp_path / "notes.png")
    page.click("#predict")
    expect(page.locator("#alert")).to_contain_text("picture")
    expect(page.locator("#result")).to_be_hidden()


def test_feedback_says_which_label_is_right_and_by_whom(page):
    page.fill("textarea", "我要退款，退钱")
    page.click("#predict")
    expect(page.locator("#right select")).to_have_value("退款")
    page.select_option("#right select", "尺码")
    page.fill("#by", "小王")
    with page.expect_response("**/v1/feedback") as answer:
        page.click("#judge button")
    sent = answer.value.request.post_data_json
    assert (sent["task"], sent["label"], sent["by"], sent["sample"]["text"]) == (
        "returns",
        "尺码",
        "小王",
        "我要退款，退钱",
    )
    assert sent["id"] == sent["sample"]["id"] and answer.value.json()["saved"] is True
    expect(page.locator("#saved")).to_be_visible()
    page.select_option("#right select", "退款")
    expect(page.locator("#saved")).to_be_hidden()


def test_several_labels_are_ticked(page):
    description = openapi([TOPICS])
    [route] = description["paths"]["/v1/predict"].values()
    decided = route["responses"]["200"]["content"]["application/json"]["example"]
    page.route("**/openapi.json", lambda route: route.fulfill(json=description))
    page.route("**/v1/predict", lambda route: route.fulfill(json=decided))
    page.route("**/v1/explain", lambda route: route.fulfill(body="<p>质量</p>", content_type="text/html"))
    page.route("**/v1/feedback", lambda route: route.fulfill(json={"saved": True}))
    page.reload()
    page.fill("textarea", "破了")
    page.click("#predict")
    first, second = (page.locator("#right input").nth(number) for number in (0, 1))
    expect(first).to_be_checked()
    expect(second).not_to_be_checked()
    second.check()
    page.fill("#by", "小王")
    with page.expect_request("**/v1/feedback") as asked:
        page.click("#judge button")
    assert asked.value.post_data_json["label"] == ["质量", "物流"]


def test_where_the_service_has_no_token_none_is_asked_for(browser, trained_shop, tmp_path):
    shop = shutil.copytree(trained_shop, tmp_path / "shop")
    with on_port(opened(shop)) as service:
        page = browser.new_page(base_url=f"http://127.0.0.1:{service.port}")
        page.goto("/docs")
        page.fill("textarea", "我要退款")
        page.click("#predict")
        expect(page.locator("#explanation .headline")).to_be_visible()
        expect(page.locator("#enter")).to_be_hidden()
        page.close()


def test_the_page_is_chinese_for_who_reads_chinese_and_on_request(browser, address):
    for path, locale in (("/docs", "zh-CN"), ("/docs?language=zh", "en-US")):
        context = browser.new_context(base_url=address, locale=locale)
        page = context.new_page()
        page.goto(path)
        expect(page.locator("h1").first).to_have_text("试用")
        expect(page.locator("article#predict-route h2")).to_contain_text("预测样本")
        page.click("#language")
        expect(page.locator("h1").first).to_have_text("Try it")
        context.close()


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_a_phone(browser, address, dark):
    context = browser.new_context(
        base_url=address, viewport={"width": 390, "height": 844}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.goto(f"/docs#token={TOKEN}")
    page.fill("textarea", "我要退款")
    page.click("#predict")
    expect(page.locator("#explanation .headline")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


def test_the_page_holds_nothing_of_the_project_and_lets_in_nothing_from_elsewhere(address):
    import httpx

    answer = httpx.get(f"{address}/docs")
    assert answer.status_code == 200 and "returns" not in answer.text and "退款" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';") and "unsafe" not in policy
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=|https?://", answer.text)


def test_every_word_of_the_page_and_every_description_is_there_in_chinese():
    template = (Path(docs_page.__file__).parent / "templates" / "docs.html").read_text(encoding="utf-8")
    words = {one or two for one, two in re.findall(r"""_\("([^"]+)"\)|_\('([^']+)'\)""", template)}
    description = openapi([])
    for methods in description["paths"].values():
        for route in methods.values():
            words |= {route["summary"], route["description"]}
            words |= {answer["description"] for answer in route["responses"].values() if "$ref" not in answer}
    for schema in description["components"]["schemas"].values():
        words.add(schema["description"])
        words |= {value["description"] for value in schema["properties"].values() if "description" in value}
    assert words | set(REFUSALS.values()) == set(chinese())
