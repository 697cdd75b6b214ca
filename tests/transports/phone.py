"""A phone for tests: an ``adb`` with a shell in a folder, a ``benchmark_model`` that is LiteRT in Python.

Both have the arguments and the words of the real ones (Android's adb 35; TensorFlow's benchmark_model, whose
report is described in its README.md). What they compute is real.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

ADB = """#!{python}
import os, shutil, subprocess, sys
folder = {folder!r}
arguments = sys.argv[1:]
named = lambda name: os.path.join(folder, name)
lines = open(named("devices")).read()
with open(named("calls"), "a") as calls:
    calls.write(" ".join(arguments) + "\\n")
if arguments == ["devices"]:
    print("List of devices attached\\n" + lines)
    if "connecting" in lines:  # for a moment only
        open(named("devices"), "w").write(lines.replace("connecting", "device"))
    sys.exit(0)
if arguments[0] == "connect":
    if os.path.exists(named("refusal")):
        print(open(named("refusal")).read())
        sys.exit(0)
    open(named("devices"), "a").write(arguments[1] + "\\tconnecting\\n")
    print("connected to " + arguments[1])
    sys.exit(0)
serial, verb, rest = arguments[1], arguments[2], arguments[3:]
if serial + "\\tdevice" not in lines:
    sys.exit("adb: device '" + serial + "' not found")
here = lambda path: path.replace("/data/local/tmp", named("tmp"))
if os.path.exists(named("complaint")):
    when, words = open(named("complaint")).read().split("\\n", 1)
    if when in " ".join(arguments[2:]):
        sys.exit(words)
if verb == "push":
    shutil.copyfile(rest[0], here(rest[1]))
if verb == "pull":
    shutil.copyfile(here(rest[0]), rest[1])
if verb == "shell":
    # What runs on a phone goes on when adb is killed: only adb itself writes to its stdout.
    child = subprocess.Popen(
        ["sh", "-c", here(rest[0])], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    unplugged = named("unplugged")
    for line in child.stdout:
        if os.path.exists(unplugged) and open(unplugged).read() in line:
            sys.exit(0)
        print(line, end="", flush=True)
    sys.exit(child.wait())
"""
GETPROP = """#!/bin/sh
sed -n "s/^$1=//p" {folder}/properties
"""
BENCHMARK_MODEL = """#!{python}
import sys, time
import numpy as np
flags = dict(one.lstrip("-").split("=", 1) for one in sys.argv[1:])
from ai_edge_litert.interpreter import Interpreter
start = time.perf_counter()
interpreter = Interpreter(flags["graph"], num_threads=int(flags["num_threads"]))
interpreter.allocate_tensors()
ready = time.perf_counter()
files = dict(one.split(":") for one in flags["input_layer_value_files"].split(","))
shapes = [[int(side) for side in one.split(",")] for one in flags["input_layer_shape"].split(":")]
for name, shape, detail in zip(flags["input_layer"].split(","), shapes, interpreter.get_input_details()):
    value = np.fromfile(files[name], detail["dtype"])
    interpreter.set_tensor(detail["index"], value.reshape(shape))
times = []
least, most = float(flags.get("min_secs", 1)) * 1e6, float(flags.get("max_secs", 150)) * 1e6
while (len(times) < int(flags["num_runs"]) or sum(times) < least) and sum(times) <= most:
    begin = time.perf_counter()
    interpreter.invoke()
    times.append((time.perf_counter() - begin) * 1e6)
if "output_filepath" in flags:
    with open(flags["output_filepath"], "wb") as out:
        for detail in interpreter.get_output_details():
            out.write(interpreter.get_tensor(detail["index"]).tobytes())
print("INFO: Initialized session in %.3fms." % ((ready - start) * 1e3))
p5, median, p95 = np.percentile(times, [5, 50, 95])
print("INFO: count=%d first=%d curr=%d min=%d max=%d avg=%g std=%d p5=%d median=%g p95=%d" % (
    len(times), times[0], times[-1], min(times), max(times), np.mean(times), np.std(times), p5, median, p95))
print("INFO: Inference timings in us: "
  "Init: %d, First inference: %d, Warmup (avg): %g, Inference (avg): %g" % (
    (ready - start) * 1e6, times[0], np.mean(times), np.mean(times)))
if "report_peak_memory_footprint" in flags:
    print("INFO: Overall peak memory footprint (MB) via periodic monitoring: 12.5")
def table(rows):
    print("============================== Summary by node type ==============================")
    print("\\t[Node type]\\t  [count]\\t  [avg ms]\\t    [avg %]\\t    [cdf %]\\t  [mem KB]\\t[times called]")
    for name in sorted(set(rows)):
        share = 100 * rows.count(name) / len(rows)
        print("\\t%s\\t%d\\t%.3f\\t%.3f%%\\t%.3f%%\\t0.000\\t1" % (
            name, rows.count(name), np.mean(times) * share / 1e5, share, share))
    print("\\nTimings (microseconds): count=50\\nMemory (bytes): count=0\\n")
if "enable_op_profiling" in flags:
    print("INFO: Profiling Info for Benchmark Initialization:")
    table(["ModifyGraphWithDelegate", "AllocateTensors"])
    print("INFO: Operator-wise Profiling Info for Regular Benchmark Runs:")
    table([one["op_name"] for one in interpreter._get_ops_details() if one["op_name"] != "DELEGATE"])
    print("Delegate internal: ")
    table(["Fully Connected (NC, F32) GEMM"])
"""


@dataclass(frozen=True)
class Phone:
    folder: Path

    @classmethod
    def made(cls, folder: Path, devices: str = "R58M1\tdevice\n") -> Phone:
        (folder / "bin").mkdir(parents=True)
        (folder / "tmp").mkdir()
        phone = cls(folder)
        phone.plug_in(devices)
        phone.describe(**{"ro.product.model": "Pretend 1"})
        for name, text in (("bin/adb", ADB), ("bin/getprop", GETPROP), ("benchmark_model", BENCHMARK_MODEL)):
            phone._program(name, text.format(python=sys.executable, folder=str(folder)))
        return phone

    def _program(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IEXEC)

    def plug_in(self, devices: str) -> None:
        """Set what ``adb devices`` lists."""
        (self.folder / "devices").write_text(devices, encoding="utf-8")

    def complain(self, when: str, words: str) -> None:
        """Let adb fail with ``words`` at each call that holds ``when``."""
        (self.folder / "complaint").write_text(f"{when}\n{words}", encoding="utf-8")

    def unplug(self, when: str) -> None:
        """Be unplugged before a line that holds ``when``: adb's stream ends, and its exit status is 0."""
        (self.folder / "unplugged").write_text(when, encoding="utf-8")

    def refuse(self, words: str) -> None:
        """Let ``adb connect`` say ``words``; it exits with 0 even so."""
        (self.folder / "refusal").write_text(words, encoding="utf-8")

    def describe(self, **properties: str) -> None:
        """Set what ``getprop`` answers."""
        lines = "".join(f"{name}={value}\n" for name, value in properties.items())
        (self.folder / "properties").write_text(lines, encoding="utf-8")

    def begin_with(self, shell: str) -> None:
        """Let ``benchmark_model`` begin with these lines of shell; they may end it."""
        whole = self.folder / "whole_benchmark_model"
        (self.folder / "benchmark_model").rename(whole)
        self._program("benchmark_model", f'#!/bin/sh\n{shell}\nexec {whole} "$@"\n')

    @property
    def path(self) -> str:
        return f"{self.folder / 'bin'}:{os.environ['PATH']}"

    @property
    def left(self) -> list[Path]:
        """What is left on the phone."""
        return list((self.folder / "tmp").iterdir())
