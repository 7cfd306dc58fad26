"""The README's pictures, taken of the sample county: ``./dev screenshots``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

HERE = Path(__file__).parent
ARGUMENTS = [
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
    "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
INCIDENT = "at=105.286,27.304&hazard=landslide"
PICTURES = {
    "map-zh": ((1440, 900), "light", "/?lang=zh"),
    "incident-zh": ((1440, 900), "light", f"/?{INCIDENT}&lang=zh"),
    "incident-en-dark": ((1440, 900), "dark", f"/?{INCIDENT}&lang=en"),
    "map-en": ((1440, 900), "light", "/?lang=en"),
    "phone-zh": ((390, 844), "light", f"/?{INCIDENT}&lang=zh"),
    "phone-en": ((390, 844), "light", f"/?{INCIDENT}&lang=en"),
    "board-zh": ((1440, 900), "light", "/?w=registry&lang=zh"),
    "board-en-dark": ((1440, 900), "dark", "/?w=registry&lang=en"),
}
IN_README = ("incident-zh", "incident-en-dark", "phone-zh", "board-zh")
ACCOUNT = "demo-editor"
DRAWN = "window.leeward && leeward.map.loaded() && leeward.map.areTilesLoaded() && !leeward.map.isMoving()"


HOME = HERE.parent / ".leeward" / "pictures"


@contextmanager
def sample_server() -> Iterator[str]:
    """The address of a service with the sample county."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "LEEWARD_HOME": str(HOME), "LEEWARD_PORT": str(port), "LEEWARD_WORKERS": "1"}
    process = subprocess.Popen([Path(sys.executable).parent / "leeward", "demo"], env=environment)
    try:
        _wait(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit("the service did not start")


def _sign_in(context: BrowserContext, address: str) -> None:
    """Sign in to an account of the demo, whose password stands in its file."""
    lines = (HOME / "demo-accounts.txt").read_text(encoding="utf-8").splitlines()
    password = next(line.split()[2] for line in lines if line.startswith(f"{ACCOUNT} "))
    answer = context.request.post(f"{address}/session", data={"name": ACCOUNT, "password": password})
    if not answer.ok:
        raise SystemExit(f"signing in failed: {answer.text()}")


def _until_drawn(page: Page) -> None:
    """Wait until the map stands still for a second (the page's policy allows no waiting by string)."""
    still = 0
    deadline = time.monotonic() + 60
    while still < 5 and time.monotonic() < deadline:
        still = still + 1 if page.evaluate(DRAWN) else 0
        time.sleep(0.2)


def main(folder: Path | None) -> None:
    """Take every picture into ``folder``; without one, those of the README into docs/pictures."""
    names = PICTURES if folder else IN_README
    folder = folder or HERE / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sample_server() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for name in names:
            (width, height), scheme, link = PICTURES[name]
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce",
                device_scale_factor=1 if width > 500 else 2,
            )  # fmt: skip
            if "w=registry" in link:
                _sign_in(context, address)
            page = context.new_page()
            page.goto(address + link)
            _until_drawn(page)
            if "at=" in link:
                page.get_by_role("tab").first.wait_for()
                _until_drawn(page)
            if "w=registry" in link:
                page.locator(".board-card").first.wait_for()
            page.screenshot(path=folder / f"{name}.png")
            print(folder / f"{name}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
