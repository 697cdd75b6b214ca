"""What tests share: the command line as a user runs it, real data, and one finished deployment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgearch.tflite import model as tflite

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", help="the device profile that tests/device deploy to")
    parser.addoption("--host", help="where that device is, as ssh would reach it")


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)


def run_edgearch(*arguments: str, cwd: Path, timeout: float = 600, **environment: str) -> Done:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "edgearch", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def edgearch(tmp_path: Path) -> Callable[..., Done]:
    """Run the command line in an empty folder."""

    def run(*arguments: str, **environment: str) -> Done:
        return run_edgearch(*arguments, cwd=tmp_path, **environment)

    return run


@dataclass(frozen=True)
class Deployed:
    folder: Path
    done: Done
    name: str = "cnn-resnet8-digits-rpi-int8"
    settings: tuple[str, ...] = ()

    def again(self, *arguments: str, **environment: str) -> Done:
        """Run the command line where the deployment's finished stages are."""
        return run_edgearch(*arguments, cwd=self.folder, **environment)

    def converted(self, precision: str) -> Path:
        """Return the cnn-resnet8 of one precision: other tests convert other models here."""
        paths = self.folder.glob(f"build/stages/*/model.{precision}.tflite")
        return next(path for path in sorted(paths) if tflite.read(path).ops().get("CONV_2D") == 9)

    @property
    def bundle(self) -> Path:
        """The bundle of the deployment that every session begins with."""
        return self.folder / "build" / "deployments" / self.name / "bundle"


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The main job, once: deploy cnn to a Raspberry Pi's stand-in."""
    folder = tmp_path_factory.mktemp("deployed")
    return Deployed(folder, run_edgearch("deploy", "cnn", "--device", "rpi", "--json", cwd=folder))


@pytest.fixture(scope="session")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """An LSTM on a Raspberry Pi's stand-in; trained for two epochs, so its accuracy says nothing."""
    folder = tmp_path_factory.mktemp("recurrent")
    changes = ("train.epochs=2", "quantize.compare_sizes=[]", "validate.max_drop=1")
    settings = tuple(word for change in changes for word in ("--set", change))
    done = run_edgearch("deploy", "lstm", "--device", "rpi", "--json", *settings, cwd=folder)
    return Deployed(folder, done, "rnn-lstm-digits_rows-rpi-int8", settings)


@pytest.fixture(scope="session")
def int8_model(deployed: Deployed) -> Path:
    """An int8 cnn as a .tflite file."""
    return deployed.bundle / "model.tflite"


@pytest.fixture
def shared() -> Path:
    """Real data that a fresh clone does not have."""
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}: a fresh clone has no shared data")
    return SHARED
