"""A headless Chromium over a page from a file: the system's own, driven by its own driver; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
WAIT_S = 60


def programs() -> tuple[str, str] | None:
    """Browser and driver; None where one of them is not there."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def start(profile: Path) -> Any:
    """A browser with an empty profile."""
    from selenium import webdriver

    found = programs()
    assert found is not None
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ.setdefault("SE_AVOID_STATS", "true")
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(found[1]))


class Page:
    """A report in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, *, dark: bool = False, phone: bool = False) -> Page:
        """Opens a report as one who has never been there."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        if phone:
            size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        else:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.get_log("browser")
        self.driver.get(path.as_uri())
        self.js("try { localStorage.clear() } catch {}; document.documentElement.style.scrollBehavior = 'auto'")
        self.until(lambda: self.js("return document.documentElement.dataset.ready === 'true'"))
        return self

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, holds: Callable[[], Any]) -> Any:
        """Waits for something that comes; fails where it does not."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if found := holds():
                return found
            time.sleep(0.02)
        raise AssertionError(f"did not come: {self.count}; {self.errors()}")

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).textContent", selector))

    @property
    def count(self) -> str:
        return self.text("#count")

    def choose(self, field: str, value: str) -> None:
        """Chooses in a filter, as somebody does."""
        script = (
            "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
            "if (field.value !== arguments[1]) throw new Error('no such option: ' + arguments[1]);"
            "field.dispatchEvent(new Event('input', { bubbles: true }));"
            "field.dispatchEvent(new Event('change', { bubbles: true }))"
        )
        self.js(script, field, value)

    def search(self, words: str, count: str) -> None:
        """Types words, and waits until so much is found."""
        field = self.find("#words")
        self.js("arguments[0].value = ''", field)
        field.send_keys(words)
        self.until(lambda: self.count == count)

    def ids(self) -> list[str]:
        """Those of the rows in sight, in their order."""
        return list(
            self.js(
                "return [...document.querySelectorAll('.row')]"
                ".sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map((row) => row.querySelector('.id').textContent)"
            )
        )

    def show(self, place: int) -> None:
        """Opens the row at a place, and waits for it."""
        row = self.find(f"#row-{place}")
        own_id = row.find_element("css selector", ".id").text
        self.js("arguments[0].click()", row)
        self.until(lambda: self.js("return document.querySelector('#card-h')?.textContent") == own_id)

    def focused(self) -> str:
        return str(self.js("return document.activeElement.id || document.activeElement.tagName"))

    def errors(self) -> list[str]:
        """What the console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]
