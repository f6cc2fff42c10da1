"""Rules on meaning and sight in a real browser."""

import re
from collections.abc import Iterator

import pytest
from rule_files import TASK, contents
from seeing_shop import COLOUR, MEANING, with_encoder

pytest.importorskip("playwright", reason="needs the extra test")
pytest.importorskip("fastapi", reason="needs the extra review")
from playwright.sync_api import Browser, Page, expect
from served import Served


@pytest.fixture
def seeing(browser: Browser, tmp_path) -> Iterator[tuple[Page, Served]]:
    """A page of a shop with an encoder and two rules, the first on a meaning, the second on a colour."""
    served = Served(with_encoder(tmp_path / "seeing", MEANING, COLOUR))
    context = browser.new_context(base_url=served.address, locale="en-US", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    yield context.new_page(), served
    context.close()
    served.stop()


def edit_address(served: Served, field: str) -> str:
    rules = served.site.store.rules(TASK)
    return f"/t/{TASK}/rules/{next(each.rule.id for each in rules if each.rule.conditions[0].field == field)}/edit"


def test_the_slider_of_a_meaning_previews_what_it_would_hit_and_saves_nothing(seeing):
    page, served = seeing
    before = contents(served.site.config.rules)
    page.goto(edit_address(served, "means"))
    expect(page.locator("#preview")).to_contain_text("2/3")
    page.locator("[type=range]").fill("0.8")
    expect(page.locator("[name=at-0]")).to_have_value("0.8")
    expect(page.locator("#preview")).to_contain_text("2/2")
    expect(page.locator(".threshold tr.at")).to_contain_text("0.8")
    page.locator("[name=at-0]").fill("0.705")  # finer than the slider, which shows about where it is
    expect(page.locator("[type=range]")).to_have_value(re.compile(r"0\.7[01]?"))
    expect(page.locator("#preview")).to_contain_text("2/3")
    expect(page.locator("[name=at-0]")).to_have_value("0.705")
    assert contents(served.site.config.rules) == before
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".saved")).to_be_visible()
    assert 0.705 in [each.rule.conditions[0].meaning.at for each in served.site.store.rules(TASK)
                     if each.rule.conditions[0].meaning]  # fmt: skip


def test_another_field_shows_its_inputs_and_what_was_written_is_still_there_on_the_way_back(seeing):
    page, served = seeing
    page.goto(edit_address(served, "means"))
    field, written = page.locator("[name=field-0]"), page.locator("[name=test-0]")
    for chosen, shown, hidden in [
        ("image.colour", ["zone-0", "colour-0", "share-0"], ["test-0", "at-0", "kind-0", "height-0"]),
        ("image.kind", ["kind-0"], ["test-0", "zone-0", "compared-0"]),
        ("ocr.size", ["test-0", "height-0"], ["at-0", "share-0"]),
        ("turns", ["test-0"], ["height-0", "at-0", "compared-0"]),
        ("means", ["test-0", "compared-0", "at-0", "encoder-0"], ["height-0", "zone-0"]),
    ]:
        field.select_option(chosen)
        for name in shown:
            expect(page.locator(f"[name={name}]")).to_be_visible()
        for name in hidden:
            expect(page.locator(f"[name={name}]")).to_be_hidden()
        if chosen == "turns":
            expect(written).to_have_attribute("placeholder", "a comparison, written like >1.8")
            expect(page.locator("#preview .warning")).to_contain_text("turns takes a comparison")
    expect(written).to_have_value("退钱")
    expect(page.locator("[name=at-0]")).to_have_value("0.6")
    page.locator("[data-add]").click()
    page.locator("[name=field-1]").select_option("image.colour")
    expect(page.locator("[name=zone-1]")).to_be_visible()


def test_a_new_rule_from_what_a_marked_turn_means(seeing):
    page, _ = seeing
    page.goto(f"/t/{TASK}/sample?id=s3")
    expect(page.locator(".alike")).to_be_visible()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('[data-field=last_user] span'))")
    page.locator("#from-meaning").click()
    expect(page.locator("[name=compared-0]")).to_have_value("last_user")
    expect(page.locator("[name=test-0]")).to_have_value("快递到哪了")
    expect(page.locator("[name=encoder-0]")).to_have_value("concepts")
    expect(page.locator("#preview")).to_contain_text("How near the samples are")


def test_rules_on_meaning_and_sight_fit_a_phone(seeing):
    page, served = seeing
    page.set_viewport_size({"width": 390, "height": 844})
    for field in ("means", "image.colour"):
        address = edit_address(served, field)
        for path in (address, address.removesuffix("/edit"), f"/t/{TASK}/sample?id=s5"):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
