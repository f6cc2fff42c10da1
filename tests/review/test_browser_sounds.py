"""Voice messages in a real browser: loaded, played from where the evidence is said, or told why they cannot be."""

import re
from collections.abc import Iterator

import pytest
from browser import watched
from rule_files import TASK
from speaking_shop import SAID, SECONDS, open_speaking_shop

pytest.importorskip("playwright", reason="needs the extra test")
pytest.importorskip("fastapi", reason="needs the extra review")
pytest.importorskip("av", reason="needs the extra voice")
from playwright.sync_api import Browser, Locator, Page, expect
from served import Served

DURATION, PLACE, PAUSED = (f"audio => audio.{name}" for name in ("duration", "currentTime", "paused"))


@pytest.fixture
def page(browser: Browser, tmp_path) -> Iterator[Page]:
    """Fails for whatever goes elsewhere or is written to the console, but for sounds that are refused."""
    served = Served(open_speaking_shop(tmp_path))
    with watched(browser, served.address) as (context, wrong):
        yield context.new_page()
    served.stop()
    assert [each for each in wrong if not re.search(r"status of (404|422)", each)] == []


def sample(page: Page, number: int) -> Locator:
    """The only sound on the page of a sample."""
    page.goto(f"/t/{TASK}/sample?id=s{number}")
    return page.locator(".sound")


def wait_until(audio: Locator, condition: str) -> None:
    """Until a condition holds on the player, written in JavaScript."""
    audio.page.wait_for_function(f"audio => {condition}", arg=audio.element_handle())


def test_a_sound_is_loaded_with_its_length_and_the_transcript_beside_it(page):
    sound = sample(page, 0)
    audio = sound.locator("audio")
    wait_until(audio, "audio.readyState >= 1")
    assert audio.evaluate(DURATION) == pytest.approx(SECONDS, abs=0.1)
    expect(sound.locator(".heard")).to_have_text(SAID)
    expect(sound.locator(".heard mark")).to_have_text("order")
    assert "a.wav" not in page.content() and "/tmp" not in page.content()


def test_the_button_at_the_evidence_plays_from_its_second(page):
    sound = sample(page, 0)
    button = sound.get_by_role("button", name="0:04")
    expect(button).to_have_text(re.compile(r"0:04\s*order"))
    button.click()
    audio = sound.locator("audio")
    wait_until(audio, "!audio.paused && audio.currentTime >= 4.5")


def test_what_the_browser_does_not_play_is_played_as_wav(page):
    sound = sample(page, 1)
    audio = sound.locator("audio")
    assert audio.evaluate("audio => audio.networkState") == 0 or audio.get_attribute("preload") == "none"
    audio.evaluate("audio => audio.load()")
    page.keyboard.press("l")
    wait_until(audio, "audio.duration > 0.9")


@pytest.mark.parametrize(("number", "words"), [(2, "cannot be played"), (3, "cannot be played"), (5, "is not there")])
def test_in_the_place_of_a_player_that_plays_nothing_stands_why(page, number, words):
    sound = sample(page, number)
    if number == 3:
        page.keyboard.press("l")
    expect(sound).to_contain_text(words)
    expect(sound.locator("audio:visible")).to_have_count(0)


def test_on_a_rules_page_the_key_listens_to_the_hit_and_one_sound_plays_at_a_time(page):
    page.goto(f"/t/{TASK}/rules?status=all")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("[data-rule]")).to_be_visible()
    page.keyboard.press("n")
    here = page.locator(".sample.here")
    page.keyboard.press("l")
    wait_until(here.locator("audio").first, "!audio.paused && audio.currentTime > 0")
    page.keyboard.press("n")
    page.keyboard.press("l")
    wait_until(here.locator("audio").first, "!audio.paused")
    assert page.locator("audio").evaluate_all("all => all.filter(audio => !audio.paused).length") == 1
    page.keyboard.press("l")
    assert page.locator("audio").evaluate_all("all => all.filter(audio => !audio.paused).length") == 0


def test_the_space_bar_belongs_to_the_player_that_has_the_focus(page):
    page.goto(f"/t/{TASK}/rules?status=all")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("[data-rule]")).to_be_visible()
    audio = page.locator("audio").first
    audio.focus()
    page.keyboard.press("Space")
    wait_until(audio, "!audio.paused")
    expect(page.locator(".saved")).to_have_count(0)  # the rule was not skipped


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    for number in range(7):
        sample(page, number)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
