"""The explorer in a browser, from end to end."""

import re
import statistics

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="driving a browser needs playwright (extra browser)").expect
expect.set_options(timeout=120_000)
pytestmark = pytest.mark.slow


def store(page, source="digits", count=60):
    page.select_option("#source", source)
    page.fill("#count", str(count))
    with page.expect_response("**/api/items/0"):  # what is clicked earlier is lost to it
        page.click("#store button[type=submit]")
    expect(page.locator("#stored")).to_contain_text(f"{count:,} stored")
    expect(page.locator(".answer").first).to_be_visible()


def recalled(page, name):
    return page.locator(f'.answer[data-memory="{name}"]')


def pixels(page, selector):
    return page.locator(selector).evaluate("canvas => canvas.toDataURL()")


def settled(page):
    """The verdict is the last to come."""
    expect(page.locator("#verdict")).to_be_visible()
    page.wait_for_timeout(500)


def test_an_image_is_stored_damaged_and_recalled(open_page):
    page = open_page()
    store(page)
    page.click('#gallery [data-row="7"]')
    expect(page.locator("#cue-name")).to_contain_text("image #7")
    page.select_option("#hidden", "lower")
    page.check("#told")
    expect(recalled(page, "dense").locator("p").first).to_contain_text("#7")
    expect(recalled(page, "dense")).to_contain_text("the right one")
    expect(page.locator("#verdict")).to_contain_text("Recognised")
    expect(page.locator("#energy .main-svg").first).to_be_visible()
    settled(page)
    last = pixels(page, '.answer[data-memory="dense"] > canvas')
    page.focus("#frame")
    page.keyboard.press("Home")
    assert pixels(page, '.answer[data-memory="dense"] > canvas') != last
    page.click("#play")
    expect(page.locator("#play")).to_have_text("▶")
    assert pixels(page, '.answer[data-memory="dense"] > canvas') == last


def test_the_brush_paints_by_pointer_and_by_keys(open_page):
    page = open_page()
    store(page)
    settled(page)
    page.check('[name="paint"][value="white"]')
    before = pixels(page, "#canvas")
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 20, steps=5)
    page.mouse.up()
    pointed = pixels(page, "#canvas")
    assert pointed != before
    page.focus("#canvas")
    for key in ("ArrowDown", "ArrowDown", "Space", "Shift+ArrowRight"):
        page.keyboard.press(key)
    page.focus("#brush")
    assert pixels(page, "#canvas") != pointed
    page.click("#clean")
    assert pixels(page, "#canvas") == before


def test_a_cue_that_is_not_stored_is_refused(open_page, tmp_path):
    from PIL import Image

    page = open_page()
    store(page)
    page.click("#unseen")
    expect(page.locator("#cue-name")).to_contain_text("not stored")
    Image.effect_noise((40, 40), 90).save(tmp_path / "noise.png")
    page.set_input_files("#cue-file", tmp_path / "noise.png")
    expect(page.locator("#cue-name")).to_contain_text("noise.png")
    expect(page.locator("#verdict")).to_contain_text("Refused")


def test_mistakes_are_told_where_they_are_made(open_page, tmp_path):
    page = open_page()
    page.expected = ["status of 409", "status of 410"]  # the browser's own account of a refusal
    expect(page.locator("#go")).to_be_disabled()
    expect(page.locator("#damage-wait")).to_have_text("Store images first.")
    page.select_option("#source", "own")
    page.click("#store button[type=submit]")
    expect(page.locator("#store-problem")).to_contain_text("no picture of your own")
    (tmp_path / "<i>notes.txt").write_text("no picture")
    page.set_input_files("#files", tmp_path / "<i>notes.txt")
    expect(page.locator("#store-problem")).to_contain_text("<i>notes.txt cannot be read as an image")
    large = tmp_path / "large.png"
    large.write_bytes(b" " * (9 * 2**20))
    page.set_input_files("#files", large)
    expect(page.locator("#store-problem")).to_contain_text("large.png is larger than 8 MB")
    store(page)
    page.select_option("#hidden", "lower")
    page.locator("#share").fill("100")
    page.check("#told")
    expect(page.locator("#recall-problem")).to_contain_text("nothing of the cue is known")
    page.select_option("#hidden", "none")
    expect(page.locator("#recall-problem")).to_be_hidden()
    for box in page.locator('[name="memory"]').all():
        box.uncheck()
    expect(page.locator("#recall-problem")).to_contain_text("at least one memory")


def test_a_page_that_the_server_forgot_says_so_and_goes_on(open_page):
    page = open_page()
    page.expected = ["status of 410"]
    store(page)
    settled(page)
    for _ in range(4):
        page.evaluate("fetch('/api/visit', {method: 'POST'}).then(answer => answer.text())")
    page.click('#gallery [data-row="3"]')
    expect(page.locator("#cue-problem")).to_contain_text("store them again")
    store(page)
    page.click('#gallery [data-row="4"]')
    expect(page.locator("#cue-name")).to_contain_text("image #4")
    expect(page.locator("#cue-problem")).to_be_hidden()


def test_pictures_of_ones_own_are_stored(open_page, tmp_path):
    from PIL import Image

    page = open_page()
    files = []
    for name, colour in (("red", "#f00"), ("green", "#0f0"), ("blue", "#00f")):
        files.append(tmp_path / f"{name}.png")
        Image.new("RGB", (50, 40), colour).save(files[-1])
    page.select_option("#source", "own")
    page.set_input_files("#files", files)
    expect(page.locator("#own-count")).to_contain_text("3 pictures")
    page.check("#colour")
    page.click("#store button[type=submit]")
    expect(page.locator("#stored")).to_contain_text("3 stored from your pictures, 32×32 in colour")
    expect(recalled(page, "dense")).to_contain_text("the right one")
    channels = "canvas => [...canvas.getContext('2d').getImageData(16, 16, 1, 1).data.slice(0, 3)]"
    shown = {page.locator("#gallery canvas").nth(row).evaluate(channels).index(255) for row in range(3)}
    named = ["red", "green", "blue"].index(
        page.locator('#gallery [data-row="0"]').get_attribute("title").split()[-1].removesuffix(".png")
    )
    assert shown == {0, 1, 2} and page.locator("#gallery canvas").first.evaluate(channels)[named] == 255


def test_the_page_works_by_keys_alone(open_page):
    page = open_page()
    store(page)
    page.focus("#tab-recall")
    for name in ("landscape", "capacity", "papers", "recall"):
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"#tab-{name}")).to_be_focused()
        expect(page.locator(f"#{name}")).to_be_visible()
    page.focus('#gallery [aria-pressed="true"]')
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#cue-name")).to_contain_text("image #1")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, canvas[tabindex]")]
            .filter(element => !element.labels?.length && !element.getAttribute("aria-label") && !element.textContent.trim())
            .map(element => element.outerHTML)"""
    )
    assert unnamed == []


def test_memories_of_the_plane_move_and_recall_starts_anywhere(open_page):
    page = open_page()
    page.click("#tab-landscape")
    summary = page.locator("#plane-summary")
    expect(summary).to_contain_text("5 of 5 memories are fixed points")
    expect(page.locator("#way .main-svg").first).to_be_visible()
    shares = page.locator("#fixed").inner_text()
    memory = page.locator(".memory").first.bounding_box()
    page.mouse.move(memory["x"] + memory["width"] / 2, memory["y"] + memory["height"] / 2)
    page.mouse.down()
    page.mouse.move(memory["x"] + 60, memory["y"] + 80, steps=4)
    page.mouse.up()
    expect(page.locator("#fixed")).not_to_have_text(shares, use_inner_text=True)
    page.locator(".memory").nth(2).focus()
    where = page.locator(".memory").nth(2).get_attribute("aria-label")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".memory").nth(2).get_attribute("aria-label") != where
    board = page.locator("#board").bounding_box()
    page.mouse.click(board["x"] + 20, board["y"] + board["height"] - 20)
    expect(page.locator("#way-title")).to_contain_text("memory 3")
    page.locator("#beta").fill("-0.5")
    expect(summary).to_contain_text("0 of 5 memories are fixed points, 1 is a blend")
    page.locator(".memory").first.focus()
    page.keyboard.press("Delete")
    expect(page.locator(".memory")).to_have_count(4)


def test_capacity_fills_in_and_can_be_stopped(open_page):
    page = open_page()
    page.click("#tab-capacity")
    page.select_option("#sweep-source", "digits")
    page.fill("#sweep-most", "40")
    page.click("#sweep-start")
    expect(page.locator("#sweep-doing")).to_have_text("Measured 15 of 15 points.")
    expect(page.locator("#sweep-table tbody tr")).to_have_count(5)
    page.select_option("#sweep-source", "bank")
    page.fill("#sweep-most", "10000")
    page.click("#sweep-start")
    expect(page.locator("#sweep-doing")).to_have_text(re.compile(r"^\d+ of \d+ points; last: "))
    page.click("#sweep-stop")
    expect(page.locator("#sweep-doing")).to_contain_text("Stopped after")
    expect(page.locator("#sweep-start")).to_be_enabled()


def test_twenty_papers_are_listed_with_their_figures(open_page):
    page = open_page()
    page.click("#tab-papers")
    expect(page.locator("details.paper")).to_have_count(20, timeout=600_000)  # reads the code behind every row
    page.click("#paper-20 summary")
    expect(page.locator("#paper-20 code").first).to_contain_text("attractor reproduce 20")
    assert page.locator("#paper-20 tbody tr").count() > 3
    expect(page.locator("#paper-20 .pictures .main-svg, #paper-20 .pictures canvas").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_tab_without_scrolling_aside(open_page, scheme):
    page = open_page(390, 844, color_scheme=scheme)
    store(page)
    settled(page)
    for name in ("recall", "landscape", "capacity", "papers"):
        page.click(f"#tab-{name}")
        page.wait_for_timeout(1500)
        assert page.evaluate("document.documentElement.scrollWidth") == 390, name


def test_ten_thousand_images_are_stored_and_recalled(open_page):
    page = open_page()
    store(page, "bank", 10_000)
    expect(page.locator("#place")).to_have_text("1–48 of 10,000")
    page.click("#forward")
    page.click('#gallery [data-row="90"]')
    page.locator("#noise").fill("0.3")
    expect(recalled(page, "dense")).to_contain_text("#90, picture")
    expect(recalled(page, "dense")).to_contain_text("the right one")


def test_a_thousand_images_are_recalled_in_a_fifth_of_a_second(open_page):
    page = open_page()
    store(page, "bank", 1000)
    settled(page)
    page.uncheck("#live")
    took = []
    for _ in range(9):
        page.click("#again")
        with page.expect_response("**/api/recall") as answer:
            page.click("#go")
        answer.value.finished()
        took.append(answer.value.request.timing["responseEnd"])
        settled(page)
    assert statistics.median(took) < 200, took
