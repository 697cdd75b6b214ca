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
import os, subprocess, sys
folder = {folder!r}
lines = open(os.path.join(folder, "devices")).read()
arguments = sys.argv[1:]
with open(os.path.join(folder, "calls"), "a") as calls:
    calls.write(" ".join(arguments) + "\\n")
if arguments == ["devices"]:
    print("List of devices attached\\n" + lines)
    sys.exit(0)
if arguments[0] == "connect":
    open(os.path.join(folder, "devices"), "a").write(arguments[1] + "\\tdevice\\n")
    sys.exit(0)
serial, verb, rest = arguments[1], arguments[2], arguments[3:]
if serial + "\\tdevice" not in lines:
    sys.exit("adb: device '" + serial + "' not found")
here = lambda path: path.replace("/data/local/tmp", os.path.join(folder, "tmp"))
complaint = os.path.join(folder, "complaint")
if os.path.exists(complaint):
    when, words = open(complaint).read().split("\\n", 1)
    if when in " ".join(arguments[2:]):
        sys.exit(words)
if verb == "push":
    sys.exit(subprocess.call(["cp", rest[0], here(rest[1])]))
if verb == "pull":
    sys.exit(subprocess.call(["cp", here(rest[0]), rest[1]]))
if verb == "shell":
    if rest[0] in ("getprop ro.product.model",):
        print("Pretend 1"); sys.exit(0)
    sys.exit(subprocess.call(["sh", "-c", here(rest[0])]))
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
while len(times) < int(flags["num_runs"]) or sum(times) < float(flags.get("min_secs", 1)) * 1e6:
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
if "enable_op_profiling" in flags:
    print("============================== Summary by node type ==============================")
    print("\\t[Node type]\\t  [count]\\t  [avg ms]\\t    [avg %]\\t    [cdf %]\\t  [mem KB]\\t[times called]")
    names = [one["op_name"] for one in interpreter._get_ops_details() if one["op_name"] != "DELEGATE"]
    for name in sorted(set(names)):
        share = 100 * names.count(name) / len(names)
        print("\\t%s\\t%d\\t%.3f\\t%.3f%%\\t%.3f%%\\t0.000\\t1" % (
            name, names.count(name), np.mean(times) * share / 1e5, share, share))
    print("\\nTimings (microseconds): count=50")
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
        for name, text in (("adb", ADB), ("benchmark_model", BENCHMARK_MODEL)):
            path = folder / ("bin" if name == "adb" else "") / name
            path.write_text(text.format(python=sys.executable, folder=str(folder)), encoding="utf-8")
            path.chmod(path.stat().st_mode | stat.S_IEXEC)
        return phone

    def plug_in(self, devices: str) -> None:
        """Set what ``adb devices`` lists."""
        (self.folder / "devices").write_text(devices, encoding="utf-8")

    def complain(self, when: str, words: str) -> None:
        """Let adb fail with ``words`` at each call that holds ``when``."""
        (self.folder / "complaint").write_text(f"{when}\n{words}", encoding="utf-8")

    @property
    def path(self) -> str:
        return f"{self.folder / 'bin'}:{os.environ['PATH']}"

    @property
    def left(self) -> list[Path]:
        """What is left on the phone."""
        return list((self.folder / "tmp").iterdir())
