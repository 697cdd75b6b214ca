"""LiteRT.js, Google's TFLite runtime for browsers: fetched once by npm, kept in the user's cache."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from edgearch.errors import DeviceError
from edgearch.work import Progress

PACKAGE = re.compile(r"@litertjs/core@(\d+\.\d+\.\d+)")
_SECONDS = 300


def version(requirements: tuple[str, ...]) -> str:
    """Return the version of LiteRT.js that a profile's requirements pin.

    Raises:
        DeviceError: they pin none.
    """
    for one in requirements:
        found = PACKAGE.fullmatch(one)
        if found:
            return found[1]
    raise DeviceError(
        f"Expected a requirement such as @litertjs/core@2.5.3, found {', '.join(requirements)}."
    )


def folder(wanted: str, progress: Progress) -> Path:
    """Return the folder of the package (``dist``, ``wasm``) in version ``wanted``, fetched if need be.

    Raises:
        DeviceError: there is no npm, or it could not fetch the package.
    """
    cache = platformdirs.user_cache_path("edgearch", ensure_exists=True)
    kept = cache / f"litertjs-{wanted}"
    with (cache / "litertjs.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two deployments at once: the second waits and finds it
        if not kept.exists():
            progress(None, f"fetching LiteRT.js {wanted}")
            _fetch(wanted, kept)
    return kept


def _fetch(wanted: str, kept: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise DeviceError(
            "LiteRT.js comes from npm, which is not on PATH: sudo apt install npm. It is fetched once."
        )
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".litertjs-") as scratch:
        # Without both, npm installs into the nearest folder above that holds packages: the user's own.
        (Path(scratch) / "package.json").write_text("{}", encoding="utf-8")
        here = ["--prefix", scratch]
        # Scripts of a package never run here; its files are only served to a browser.
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                [npm, "install", *here, *quiet, f"@litertjs/core@{wanted}"],
                cwd=scratch, capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise DeviceError(
                f"npm gave no answer in {_SECONDS} s: is the network there? Try again."
            ) from error
        made = Path(scratch) / "node_modules" / "@litertjs"
        if done.returncode or not (made / "core" / "wasm").is_dir():
            raise DeviceError(
                f"npm could not install @litertjs/core {wanted} ({_complaint(done.stderr)}). It needs the "
                "network once; `npm config get registry` says where it looks."
            )
        made.rename(kept)


def _complaint(stderr: str) -> str:
    """Return npm's first line of an error (``npm ERR!`` before npm 10.6), else the last that it said."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("npm error", "npm ERR!"))]
    return errors[0] if errors else (lines or ["it said nothing"])[-1]
