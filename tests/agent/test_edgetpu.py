"""The Edge TPU's runtime: its library, the compiled models, and what it says where either is missing.

No stick is needed: a library with the interface of libedgetpu takes no operator, so the CPU computes what the
Edge TPU would, by the same path.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, Deployed, Done

# The external delegate interface of TensorFlow Lite 2.14 (core/c/common.h, delegates/external).
LIBRARY = """
#include <stdint.h>
#include <stdlib.h>
typedef struct Delegate Delegate;
struct Delegate {
  void* data;
  int (*prepare)(void* context, Delegate* self);
  void *copy_from, *copy_to, *free_buffer;
  int64_t flags;
  void* opaque;
};
static int prepare(void* context, Delegate* self) { return 0; }
Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t n, void (*report)(const char*)) {
  if (PLUGGED_IN == 0) return NULL;
  if (PLUGGED_IN < 0) abort();
  Delegate* made = calloc(1, sizeof(Delegate));
  made->prepare = prepare;
  return made;
}
void tflite_plugin_destroy_delegate(Delegate* one) { free(one); }
"""


@dataclass(frozen=True)
class Coral:
    deployed: Deployed
    folder: Path
    adds: str = "edgetpu-custom-op"

    def deploy(
        self, plugged_in: int | None, compiler: bool = True, device: str = "coral", again: bool = True
    ) -> Done:
        """Deploy cnn, with libedgetpu (``None``: without) and perhaps the compiler, which maps nothing.

        It adds the name of the operator that it would put in, behind the model.
        """
        environment = {"PATH": "/usr/bin:/bin"}
        if plugged_in is not None:
            environment["LD_LIBRARY_PATH"] = str(self._library(plugged_in))
        if compiler:
            environment["PATH"] = f"{self._compiler()}:{environment['PATH']}"
        words = ("deploy", "cnn", "--device", device, "--json", *(["--again", "measure"] if again else []))
        return self.deployed.again(*words, **environment)

    def _library(self, plugged_in: int) -> Path:
        gcc = shutil.which("gcc")
        if gcc is None:
            pytest.skip("no gcc to make the library with (sudo apt install gcc)")
        source = self.folder / "edgetpu.c"
        source.write_text(LIBRARY, encoding="utf-8")
        made = self.folder / "libedgetpu.so.1"
        subprocess.run(
            [gcc, "-shared", "-fPIC", f"-DPLUGGED_IN={plugged_in}", "-o", str(made), str(source)], check=True
        )
        return self.folder

    def _compiler(self) -> Path:
        program = self.folder / "edgetpu_compiler"
        program.write_text(
            '#!/bin/sh\nmade="$3/$(basename "$4" .tflite)_edgetpu.tflite"\n'
            f'cp "$4" "$made"; printf "{self.adds}" >> "$made"\n'
        )
        program.chmod(0o755)
        return self.folder


@pytest.fixture
def coral(deployed: Deployed, tmp_path: Path) -> Coral:
    return Coral(deployed, tmp_path)


def test_compiled_model_runs_through_the_library_and_is_the_devices_own(coral: Coral) -> None:
    done = coral.deploy(plugged_in=1)
    assert done.code == 0, done.stderr
    edgetpu, litert = done.document["runtimes"]
    assert "set_aside" not in edgetpu, edgetpu
    assert (edgetpu["where"], litert["where"]) == ("device", "stand-in")
    assert edgetpu["processor"]["name"] == "Edge TPU"
    assert edgetpu["parity"]["model"]["ok"]
    assert edgetpu["chosen"], "the device's own hardware comes before what stands in for it"
    assert done.document["where"] == "device"


def test_compiled_model_without_the_edge_tpus_operator_is_set_aside(
    deployed: Deployed, tmp_path: Path
) -> None:
    done = Coral(deployed, tmp_path, adds="").deploy(plugged_in=1)
    assert done.document["where"] == "stand-in"
    assert "left it no operator" in done.document["runtimes"][0]["set_aside"]


def test_stick_that_is_plugged_in_later_is_measured(coral: Coral) -> None:
    coral.deploy(plugged_in=None)
    kept = coral.deploy(plugged_in=None, again=False)
    assert all(stage["cached"] for stage in kept.document["stages"])
    done = coral.deploy(plugged_in=1, again=False)
    assert done.document["where"] == "device"


def test_deployment_is_labelled_by_the_runtime_that_was_chosen(coral: Coral) -> None:
    profile = (ROOT / "devices" / "coral.toml").read_text(encoding="utf-8")
    folder = coral.deployed.folder / "devices"
    folder.mkdir(exist_ok=True)
    only = folder / "coral-only.toml"
    only.write_text(profile.replace('["edgetpu", "litert"]', '["edgetpu"]'), encoding="utf-8")
    try:
        done = coral.deploy(plugged_in=1, device="coral-only")
    finally:
        shutil.rmtree(folder)
    assert done.code == 0, done.stderr
    document = done.document
    assert (document["where"], document["score"]["where"]) == ("device", "device")
    assert not any("Nothing ran on the accelerator" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("plugged_in", "compiler", "words"),
    [
        (None, True, ["libedgetpu.so.1", "install libedgetpu1-std"]),
        (0, True, ["finds none", "plug it in", "plugdev"]),
        (1, False, ["model_edgetpu.tflite", "compiler made none"]),
        (-1, True, ["crashed with SIGABRT", "built for TensorFlow 2.13"]),
    ],
)
def test_without_an_edge_tpu_the_cpu_stands_in_and_the_reason_is_said(
    coral: Coral, plugged_in: int | None, compiler: bool, words: list[str]
) -> None:
    done = coral.deploy(plugged_in, compiler)
    assert done.code == 0, done.stderr
    edgetpu, litert = done.document["runtimes"]
    assert litert["chosen"]
    assert done.document["where"] == "stand-in"
    for word in words:
        assert word in edgetpu["set_aside"]
    assert any("Nothing ran on the accelerator" in note for note in done.document["notes"])
