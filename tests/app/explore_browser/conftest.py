"""A served explorer with a bank of 10,000 pictures, and pages of a headless browser that are watched for what they do."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PICTURES = 10_000


def smooth_pictures(count, edge=28):
    """Blurred noise with as much contrast as there is room for."""
    noise = torch.randn(count, 1, edge, edge, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(noise, 7, stride=1, padding=3).flatten(1)
    low, high = blurred.amin(1, keepdim=True), blurred.amax(1, keepdim=True)
    return ((blurred - low) / (high - low) * 255).round() / 255


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    from attractor.app.collection import Layout
    from attractor.bank import DiskBank

    path = tmp_path_factory.mktemp("explored") / "bank"
    layout = Layout((1, 28, 28), fitted=True, picture=True)
    with DiskBank(path, 784) as bank:
        bank.append(smooth_pictures(PICTURES), metadata=[layout.entry(f"picture {row}") for row in range(PICTURES)])
    command = [sys.executable, "-m", "attractor.app.cli", "explore", "--port", "0", "--bank", str(path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    line = process.stdout.readline()
    assert "http://127.0.0.1:" in line, process.stderr.read()
    yield line.split()[1]
    process.terminate()
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in complaints, complaints


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="driving a browser needs playwright (extra browser)")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, address):
    """Opens pages, and in the end looks whether one complained or asked anybody else."""
    complaints, contexts = [], []

    def open_one(width=1240, height=900, **given):
        context = browser.new_context(viewport={"width": width, "height": height}, **given)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.expected = []

        def note(text):
            if not any(one in text for one in page.expected):
                complaints.append(text)

        page.on("console", lambda message: message.type == "error" and note(message.text))
        page.on("pageerror", lambda error: note(str(error)))
        page.on("request", lambda request: request.url.startswith(address) or note(f"request: {request.url}"))
        page.goto(address)
        page.wait_for_selector("#source option", state="attached")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not complaints
