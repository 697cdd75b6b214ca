"""The page where a person draws for a model, driven in a real Chromium with real pointer events."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from edgearch import profiles, trying
from edgearch.errors import DeviceError
from edgearch.transports import _browser_program, _litertjs
from edgearch.transports._browser_server import Server, redirect
from edgearch.work import silent
from tests.conftest import Deployed, Done

DRIVER = "/usr/bin/chromedriver"
PATIENCE_SECONDS = 60
# Strokes on a paper of 1 by 1.
ONE = [[(0.50, 0.15), (0.50, 0.85)]]
ZERO = [[(0.5 + 0.26 * np.sin(turn), 0.5 - 0.36 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 24)]]
SEVEN = [[(0.25, 0.15), (0.75, 0.15), (0.45, 0.85)], [(0.35, 0.5), (0.70, 0.5)]]


@pytest.fixture(scope="module")
def address(deployed: Deployed) -> Iterator[str]:
    """The page of the deployed cnn."""
    if shutil.which("npm") is None:
        pytest.skip("no npm to fetch LiteRT.js with (sudo apt install npm)")
    child = subprocess.Popen(
        [sys.executable, "-m", "edgearch", "try", "cnn", "--no-open", "--json"],
        cwd=deployed.folder, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    with child:
        yield json.loads(child.stdout.readline())["url"]
        child.send_signal(signal.SIGINT)
    assert child.returncode == 0


@pytest.fixture(scope="module")
def page(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not Path(DRIVER).exists():
        pytest.skip(f"no {DRIVER} to drive Chromium with (sudo apt install chromium-driver)")
    options = webdriver.ChromeOptions()
    try:
        options.binary_location = _browser_program.find()
    except DeviceError as error:
        pytest.skip(str(error))
    for flag in ("--headless=new", "--no-first-run", "--disable-background-networking", "--disable-quic"):
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.add_argument("--window-size=900,760")
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.get(address)
        wait(driver, lambda: driver.execute_script("return document.body.dataset.ready") == "yes")
        yield driver
    finally:
        driver.quit()


def wait(driver: Any, true: Callable[[], bool]) -> None:
    WebDriverWait(driver, PATIENCE_SECONDS).until(lambda _: true())


def draw(driver: Any, strokes: list[list[tuple[float, float]]]) -> str:
    """Draw on the cleared paper and return what the page says."""
    driver.find_element(By.ID, "clear").click()
    paper = driver.find_element(By.ID, "paper").rect
    actions = ActionBuilder(driver, duration=20)
    for stroke in strokes:
        for number, (x, y) in enumerate(stroke):
            at = int(paper["x"] + x * paper["width"]), int(paper["y"] + y * paper["height"])
            actions.pointer_action.move_to_location(*at)
            if not number:
                actions.pointer_action.pointer_down()
        actions.pointer_action.pointer_up()
    actions.perform()
    wait(driver, lambda: "It is" in driver.find_element(By.ID, "answer").text)
    return str(driver.find_element(By.ID, "answer").text)


@pytest.mark.parametrize(("strokes", "digit"), [(ONE, "1"), (ZERO, "0"), (SEVEN, "7")])
def test_drawn_digit_is_recognized(
    page: Any, strokes: list[list[tuple[float, float]]], digit: str, tmp_path: Path
) -> None:
    said = draw(page, strokes)
    folder = Path(os.environ.get("EDGEARCH_SCREENSHOTS", tmp_path))
    page.save_screenshot(str(folder / f"try-{digit}.png"))
    assert said.startswith(f"It is {digit},")
    assert page.find_element(By.CSS_SELECTOR, "#bars .best .label").text == digit
    assert "µs in WebAssembly" in page.find_element(By.ID, "time").text


def test_clear_empties_paper_and_answer(page: Any) -> None:
    draw(page, ONE)
    page.find_element(By.ID, "clear").click()
    assert page.find_element(By.ID, "answer").text == "Nothing drawn yet."
    assert not page.find_elements(By.CSS_SELECTOR, "#bars .best")


def test_page_says_what_to_draw_and_that_its_model_cannot_be_loaded(page: Any, tmp_path: Path) -> None:
    facts = {"labels": ["t-shirt", "ankle boot"], "sides": [28, 28], "file": "missing.tflite", "title": ""}
    (tmp_path / "try.json").write_text(json.dumps(facts))
    litertjs = _litertjs.folder(_litertjs.version(profiles.requirements(trying.RUNTIME)), silent)
    server = Server({"litertjs": litertjs, "bundle": tmp_path, "facts": tmp_path})
    with server.running():
        page.get(server.url("try.html"))
        wait(page, lambda: "does not run here" in page.find_element(By.ID, "title").text)
        assert "missing.tflite: 404" in page.find_element(By.ID, "title").text
        assert page.find_element(By.ID, "task").text == "Draw one of: t-shirt, ankle boot"


def test_page_says_that_litertjs_did_not_come(page: Any, tmp_path: Path) -> None:
    server = Server({"facts": tmp_path})
    with server.running():
        page.get(server.url("try.html"))
        wait(page, lambda: "does not run here" in page.find_element(By.ID, "title").text)


def test_file_that_its_owner_alone_may_read_sends_a_browser_on_to_the_page(page: Any, address: str) -> None:
    with redirect(address) as file:
        path = Path(url2pathname(urlsplit(file).path))
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        page.get(file)
        wait(page, lambda: page.current_url == address)
        wait(page, lambda: page.execute_script("return document.body.dataset.ready") == "yes")
    assert page.find_element(By.ID, "task").text == "Draw a digit"
    assert page.execute_script("return crossOriginIsolated")


@pytest.mark.parametrize(
    ("model", "words"), [("gan", "does not classify"), ("lstm", "no image with one channel")]
)
def test_model_that_nothing_can_be_drawn_for_is_refused_before_training(
    edgearch: Callable[..., Done], model: str, words: str
) -> None:
    done = edgearch("try", model, "--no-open")
    assert (done.code, done.stdout) == (2, "")
    assert words in done.stderr
    assert "train" not in done.stderr


def test_margin_is_what_the_examples_leave_empty() -> None:
    images = np.zeros((100, 28, 28), np.float32)
    images[:, 4:24, 4:24] = 1
    images[0, 0, 0] = 1  # one blot
    assert trying.margin(images) == 4
    assert trying.margin(np.ones((3, 8, 8), np.float32)) == 0
