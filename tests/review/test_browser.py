"""The page in a real browser, which may talk to nothing but the page."""

import re
import webbrowser
from collections.abc import Iterator

import pytest
from browser import watched
from reviewed_shop import LABELS, open_shop, stored
from rule_files import TASK, contents

pytest.importorskip("playwright", reason="needs the extra test")
pytest.importorskip("fastapi", reason="needs the extra review")
from playwright.sync_api import Browser, BrowserContext, Page, expect
from served import Served

from kdsl.review.serving import opened


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    served = Served(open_shop(tmp_path, rules=24))
    yield served
    served.stop()


@pytest.fixture
def context(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    """Fails for whatever goes elsewhere or is written to the console."""
    with watched(browser, served.address) as (context, wrong):
        yield context
    # That the server refused something (409, 422, an image that is none) is an error to the browser, and wanted here.
    assert [
        each
        for each in wrong
        if not re.search(r"status of 4(04|09|22)|Response Status|ERR_FAILED|htmx:(send|afterRequest)", each)
    ] == []


def open_first(page: Page) -> None:
    page.goto(f"/t/{TASK}/rules?status=all&sort=coverage")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("[data-rule]")).to_be_visible()


def shown(page: Page) -> str:
    return page.locator("[data-rule]").get_attribute("data-rule") or ""


def test_twenty_rules_are_reviewed_by_keyboard_alone_and_undone(context, served):
    before = contents(served.site.config.rules)
    page = context.new_page()
    page.goto(f"/t/{TASK}/rules")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("[data-rule]")).to_be_visible()
    decided = []
    for number in range(20):
        decided.append(shown(page))
        page.keyboard.press("ax"[number % 2])
        expect(page.locator(".saved")).to_contain_text(decided[-1])
    statuses = {each.rule.id: each.rule.status for each in served.site.store.rules(TASK)}
    assert [statuses[id] for id in decided] == ["accepted", "rejected"] * 10
    assert len(set(decided)) == 20
    for id in reversed(decided):
        page.keyboard.press("u")
        expect(page.locator(".saved")).to_contain_text(f"undo {id}")
    assert contents(served.site.config.rules) == before


def test_keys_for_hits_help_reason_and_skip(context, served):
    page = context.new_page()
    open_first(page)
    first = shown(page)
    page.keyboard.press("n")
    expect(page.locator("[data-sample].here")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("a")  # not a decision while the help is open
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+X")
    page.keyboard.type("axu 太宽")
    page.keyboard.press("Enter")
    expect(page.locator(".saved")).to_contain_text(f"reject {first} (axu 太宽)")
    second = shown(page)
    page.keyboard.press("Space")
    expect(page.locator(".saved")).to_contain_text(f"skip {second}")
    page.keyboard.press("k")
    expect(page.locator("[data-rule]")).to_have_attribute("data-rule", second)  # back to the one that was skipped


def test_filters_and_the_place_in_the_list_stay_through_decisions_undo_settings_and_the_way_back(context, served):
    page = context.new_page()
    address = re.compile(rf"/t/{TASK}/rules.*status=all.*sort=coverage")
    page.goto(f"/t/{TASK}/rules?status=all&sort=coverage")
    for key in ("j", "j", "j", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("[data-rule]")).to_be_visible()
    third = shown(page)
    page.keyboard.press("A")  # Caps Lock is on: the key is still `a`
    expect(page.locator(".saved")).to_contain_text(f"accept {third}")
    page.keyboard.press("u")
    expect(page.locator(".saved")).to_contain_text(f"undo {third}")
    expect(page).to_have_url(address)
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("button", name="English")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page).to_have_url(address)
    assert shown(page) == third
    page.keyboard.press("/")
    expect(page.locator("[data-row].here a")).to_have_attribute("href", re.compile(third))
    expect(page.locator("[name=sort]")).to_have_value("coverage")


def test_what_is_refused_leaves_the_page_and_what_was_written_on_it(context, served):
    page = context.new_page()
    open_first(page)
    id = shown(page)
    page.keyboard.press("u")
    expect(page.locator("[role=alert]")).to_contain_text("nothing that 小王 did")
    assert shown(page) == id
    page.keyboard.press("e")
    expect(page.locator("[name=test-0]")).to_be_focused()
    page.locator("[name=field-0]").select_option("turns")
    page.locator("[name=test-0]").fill("viele")
    page.locator("[name=test-0]").press("Control+Enter")
    expect(page.locator("[role=alert]")).to_contain_text("Not saved")
    expect(page.locator("[name=test-0]")).to_have_value("viele")
    page.go_back()
    expect(page.locator("[data-rule]")).to_be_visible()
    page.wait_for_load_state("networkidle")  # it is read anew, and keys count once its script runs
    expect(page.locator("[role=alert]")).to_have_count(0)
    page.keyboard.press("m")
    page.keyboard.type("问客服")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".saved")).to_contain_text(f"note {id}")


def test_a_hit_is_made_a_test_of_the_rule_by_a_key_and_stays_in_sight(context, served):
    page = context.new_page()
    open_first(page)
    id = shown(page)
    page.keyboard.press("n")
    page.keyboard.press("n")
    sample = page.locator("[data-sample].here").get_attribute("data-sample")
    page.keyboard.press("w")
    expect(page.locator(".saved")).to_contain_text(f"must miss {sample}")
    expect(page.locator("[data-sample].here")).to_have_attribute("data-sample", sample or "")
    assert served.site.store.get(TASK, id).rule.tests.miss == [sample]
    page.locator("[data-sample].here h3 a").click()
    expect(page.locator("[data-rule]")).to_have_count(0)
    page.go_back()
    expect(page.locator("[data-sample].here")).to_have_attribute("data-sample", sample or "")


def test_an_edit_with_chinese_input_shows_live_what_it_would_change(context, served):
    page = context.new_page()
    id = stored(served.site, "亮度").rule.id
    page.goto(f"/t/{TASK}/rules/{id}")
    page.keyboard.press("e")
    expect(page.locator("#preview")).to_contain_text("2/4")
    box = page.locator("[name=test-0]")
    box.focus()
    page.keyboard.press("Control+a")
    # What an input method sends: a composition, then the text it stands for.
    client = context.new_cdp_session(page)
    client.send("Input.imeSetComposition", {"text": "tiao", "selectionStart": 4, "selectionEnd": 4})
    client.send("Input.insertText", {"text": "调光"})
    expect(page.locator("#preview")).to_contain_text("1/1")
    expect(page.locator("#preview")).to_contain_text("would be lost")
    assert served.site.store.get(TASK, id).rule.status == "proposed"
    page.keyboard.press("Control+Enter")
    expect(page.locator(".saved")).to_contain_text(f"edit {id}")
    rule = served.site.store.get(TASK, id).rule
    assert (rule.conditions[0].terms, rule.status) == (("调光",), "accepted")


def test_a_new_rule_from_words_selected_in_a_dialogue(context, served):
    page = context.new_page()
    page.goto(f"/t/{TASK}/sample?id=s0")
    page.evaluate(
        """() => { const text = document.querySelector('[data-field=last_user] span').firstChild.parentNode;
        const node = [...text.childNodes].flatMap((each) => each.nodeType === 3 ? [each] : [...each.childNodes])[0];
        const range = document.createRange(); range.setStart(node, 0); range.setEnd(node, 2);
        getSelection().removeAllRanges(); getSelection().addRange(range); }"""
    )
    page.locator("#from-selection").click()
    expect(page.locator("[name=test-0]")).to_have_value("亮度")
    expect(page.locator("[name=label]")).to_have_value(LABELS[0])


def test_a_new_rule_from_text_clicked_on_an_image(context, served):
    page = context.new_page()
    page.goto(f"/t/{TASK}/sample?id=s1")
    page.locator("rect.line").click()
    page.locator("#from-selection").click()
    expect(page.locator("[name=field-0]")).to_have_value("ocr")
    expect(page.locator("[name=test-0]")).to_have_value(re.compile("立即购买"))


@pytest.mark.parametrize("width", [1280, 390])
def test_the_form_of_a_meaning_keeps_clear_of_the_wrong_hits(browser, served, width):
    page = browser.new_page(base_url=served.address, locale="en-US", viewport={"width": width, "height": 900})
    page.goto(f"/t/{TASK}/new")
    page.locator('select[name="field-0"]').select_option("means")
    expect(page.locator('[data-threshold] input[type="range"]').first).to_be_visible()
    beyond = """() => {
        const edge = document.querySelector(".writing").getBoundingClientRect().right;
        const parts = [...document.querySelectorAll("#conditions *")];
        return parts.filter(each => each.getBoundingClientRect().right > edge + 1).length;
    }"""
    assert page.evaluate(beyond) == 0
    page.close()


def test_text_at_the_bottom_of_an_image_may_be_looked_for_there_only(context, served):
    page = context.new_page()
    page.goto(f"/t/{TASK}/sample?id=s1")
    page.locator("rect.line").click()
    expect(page.locator("#from-zone")).to_have_text("only at the bottom of the image")
    page.locator("#from-zone").click()
    expect(page.locator("[name=field-0]")).to_have_value("ocr.bottom")
    page.go_back()
    page.locator("rect.line").click()
    page.locator("rect.line").click()
    expect(page.locator("#offer")).to_be_hidden()


def test_the_second_tab_sees_the_difference(context, served):
    one, two = context.new_page(), context.new_page()
    for page in (one, two):
        open_first(page)
    id = shown(one)
    one.keyboard.press("a")
    expect(one.locator(".saved")).to_contain_text(id)
    two.bring_to_front()
    two.keyboard.press("x")
    expect(two.locator("[role=alert]")).to_contain_text("changed since you opened it")
    expect(two.locator(".difference")).to_contain_text("status: accepted")
    assert served.site.store.get(TASK, id).rule.status == "accepted"
    two.get_by_role("button", name="Save mine over it").click()
    expect(two.locator(".saved")).to_contain_text(f"reject {id}")


def test_a_page_whose_server_is_gone_says_that_nothing_was_saved(context, served):
    page = context.new_page()
    open_first(page)
    page.route("**/decide", lambda route: route.abort())
    page.keyboard.press("a")
    expect(page.locator("[role=alert]")).to_contain_text("nothing was saved")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone(browser, served, scheme):
    context = browser.new_context(
        base_url=served.address, viewport={"width": 390, "height": 844}, color_scheme=scheme, locale="zh-CN"
    )
    page = context.new_page()
    id = served.site.store.rules(TASK)[0].rule.id
    for path in ("rules", f"rules/{id}", f"rules/{id}/edit", "gaps", "progress", "sample?id=s1", "new"):
        page.goto(f"/t/{TASK}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(247, 247, 248)" if scheme == "light" else "rgb(21, 23, 27)"
        )
    context.close()


def test_a_browser_that_opens_the_users_file_is_let_in_and_no_other(browser, tmp_path, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(webbrowser, "open", told.append)
    served = Served(open_shop(tmp_path), token="geheim")
    try:
        with opened(f"{served.address}/?token=geheim"):
            context = browser.new_context(locale="en-US")
            page = context.new_page()
            page.goto(told[0])
            expect(page.locator("table.queue")).to_be_visible()
            assert page.url == f"{served.address}/t/{TASK}/rules"
            page.locator("[data-row] a").first.click()
            expect(page.locator("[data-rule]")).to_be_visible()
            page.wait_for_load_state("networkidle")
            page.keyboard.press("a")
            expect(page.locator(".saved")).to_contain_text("accept")
            other = browser.new_context().new_page()
            other.goto(f"{served.address}/t/{TASK}/rules")
            expect(other.locator("body")).to_have_text(
                "Open the address that kdsl review printed: it holds the token."
            )
    finally:
        served.stop()
