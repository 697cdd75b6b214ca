"""An Android phone by ``adb``: Google's ``benchmark_model`` runs the model there, one process an example.

A phone has no Python: this module is its agent. It answers the same requests with the same documents. All
that varies in what the phone's shell is given are numbers; files there have names of ours.
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from edgearch.agent import bundle, driving, measuring, worker
from edgearch.agent.failure import AgentError
from edgearch.errors import DeviceError, RequestError
from edgearch.profiles import Device, Host
from edgearch.transports import _adb, _benchmark_model
from edgearch.transports._adb import Phone
from edgearch.work import Progress, save_arrays, silent

ADDRESS = re.compile(r"[^@/]+")
EXAMPLE = "R58M123ABC (adb devices lists it) or 192.168.1.30:5555"
FOLDER = "/data/local/tmp"
_SAY_EVERY = 10  # examples
_PARTS = worker.PARTS
_NO_OUTPUT = "benchmark_model wrote no whole output: it may be an old one, without --output_filepath"


class Adb:
    """A folder of ours on a phone, gone when the connection is closed."""

    def __init__(self, device: Device, phone: Phone, binary: Path) -> None:
        self._device, self._phone, self._binary = device, phone, binary
        self._there = f"{FOLDER}/edgearch-{secrets.token_hex(6)}"
        self._here = Path(tempfile.mkdtemp(prefix="edgearch-"))
        self._ready = False

    def send(self, file: Path, name: str, progress: Progress = silent) -> None:
        """Keep ``file`` as ``name`` on this side: only models and inputs go to the phone."""
        del progress
        shutil.copyfile(file, self._here / name)

    def call(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Answer as the agent does."""
        return self._measure(request, progress) if request["do"] == "measure" else {}

    def receive(self, name: str, file: Path) -> None:
        """Copy ``name`` to ``file``."""
        shutil.copyfile(self._here / name, file)

    def close(self) -> None:
        """End what runs on the phone and remove our folder there."""
        shutil.rmtree(self._here, ignore_errors=True)
        if self._ready:
            self._phone.quiet(
                f"cd {self._there} && for one in shell child; do [ -f $one ] && kill -9 $(cat $one); done; "
                f"cd / && rm -rf {self._there}"
            )

    def _measure(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        try:
            folder = bundle.unpack(str(self._here / request["bundle"]), str(self._here))
        except AgentError as error:
            raise DeviceError(f"{self._phone.serial}: {error}") from error
        self._prepare(progress)
        locks = platformdirs.user_cache_path("edgearch") / "phones" / self._phone.serial.replace(":", "-")
        locks.mkdir(parents=True, exist_ok=True)
        with measuring.alone(locks, lambda text: progress(None, text)):
            before = self._condition()

            def run(export: dict[str, Any], inputs: worker.Arrays) -> tuple[dict[str, Any], worker.Arrays]:
                return self._role(folder, export, inputs, request, progress)

            figures, outputs = worker.every_role(folder, run)
            after = self._condition()
        peaks = [role["peak_rss_bytes"] or 0 for role in figures["roles"].values() if "refused" not in role]
        rest = {
            "version": "of benchmark_model",
            "threads": request["threads"],
            "peak_rss_bytes": max(peaks) or None,
        }
        (name, *_) = request["runtimes"]
        runtime = measuring.judged(name, {**rest, **figures})
        runtime["chosen"] = "set_aside" not in runtime
        save_arrays(self._here / request["keep"], outputs)
        return {
            "machine": self._machine(),
            "condition": {"before": before, "after": after},
            "runtimes": [runtime],
        }

    def _prepare(self, progress: Progress) -> None:
        if not self._ready:
            progress(None, "copying benchmark_model")
            self._phone.shell(f"mkdir -p {self._there}", "making a folder there")
            self._ready = True
            self._phone.push(self._binary, f"{self._there}/benchmark_model")
            self._phone.shell(f"chmod 755 {self._there}/benchmark_model", "preparing benchmark_model")

    def _role(
        self, folder: Path, export: dict[str, Any], inputs: worker.Arrays, request: dict[str, Any],
        progress: Progress,
    ) -> tuple[dict[str, Any], worker.Arrays]:  # fmt: skip
        """Run every example of a role, then time it, then profile it."""
        plan = _Plan(export, inputs)
        self._phone.push(folder / export["file"], f"{self._there}/model.tflite")
        for position, content in plan.blobs.items():
            blob = self._here / f"blob.{position}"
            blob.write_bytes(content)
            self._phone.push(blob, f"{self._there}/blob.{position}")
        shapes = [tensor["shape"] for tensor in export["inputs"]]
        words = " ".join(_benchmark_model.arguments("model.tflite", shapes, request["threads"]))
        script = self._here / "script"
        script.write_text(
            plan.script(f"./benchmark_model {words} {' '.join(_benchmark_model.ONCE)}"), "ascii"
        )
        self._phone.push(script, f"{self._there}/script")

        def hear(line: str) -> None:
            if line.isdigit():
                progress(int(line) / plan.examples, f"example {line} of {plan.examples}")

        self._phone.follow(f"cd {self._there} && sh script", f"running {export['file']}", hear)
        answers = self._here / "answers"
        self._phone.pull(f"{self._there}/answers", answers)
        outputs = plan.outputs(answers.read_bytes())
        figures = self._timed(words, request["seconds"], plan, progress)
        return figures, outputs

    def _timed(self, words: str, seconds: float, plan: _Plan, progress: Progress) -> dict[str, Any]:
        runs = []
        for part in range(_PARTS):
            progress(part / _PARTS, "timing")
            options = " ".join(_benchmark_model.timing(seconds / _PARTS))
            runs.append(_benchmark_model.figures(self._tool(f"{words} {options}", "timing the model")))
        medians = [run["median_ms"] for run in runs]
        latency = {
            "first": runs[0]["first_ms"],
            "p50": float(np.median(medians)),
            "runs": sum(run["runs"] for run in runs),
            "medians": medians,
            "of": "medians of ten processes" if runs[0]["is_median"] else "means of ten processes",
        }
        report = self._tool(f"{words} {' '.join(_benchmark_model.PROFILING)}", "profiling the model")
        peaks = [run["peak_bytes"] for run in runs if run["peak_bytes"]]
        figures: dict[str, Any] = {
            "load_ms": runs[0]["load_ms"],
            "latency_ms": latency,
            "arena_bytes": None,
            "undelegated": None,
            "peak_rss_bytes": max(peaks, default=None),
            "op_profile": _benchmark_model.profile(report),
        }
        if plan.steps > 1:
            whole = {"p50": latency["p50"] * plan.steps, "medians": [one * plan.steps for one in medians]}
            figures |= {"steps": plan.steps, "sequence_latency_ms": {**latency, **whole}}
        return figures

    def _tool(self, words: str, doing: str) -> str:
        """Run benchmark_model and return its report; its process number is kept, so that it can be ended."""
        return self._phone.shell(
            f"cd {self._there} && {{ ./benchmark_model {words} 2>&1 & echo $! > child; wait $!; }}", doing
        )

    def _machine(self) -> dict[str, Any]:
        ask = self._phone.quiet
        release = ask("getprop ro.build.version.release")
        return {
            "architecture": ask("getprop ro.product.cpu.abi") or None,
            "processor": " ".join(
                filter(None, map(ask, ("getprop ro.product.manufacturer", "getprop ro.product.model")))
            ),
            "cores": int(ask("nproc") or 0) or None,
            "system": f"Android {release}" if release else None,
            "python": None,
            "free_bytes": None,
        }

    def _condition(self) -> dict[str, Any]:
        ask = self._phone.quiet
        governor = ask("cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        status = re.search(r"Thermal Status: (\d+)", ask("dumpsys thermalservice"))
        return {
            "governor": governor or None,
            "frequency_khz": None,
            "temperature_c": None,
            "throttled": status[1] if status else None,  # 0 none … 6 shutdown, PowerManager's THERMAL_STATUS
            "load_1min": None,
        }


class _Plan:
    """How the examples of a role go through one process each, with the state carried along in files."""

    def __init__(self, export: dict[str, Any], inputs: worker.Arrays) -> None:
        self._export = export
        state = {fed: output for output, fed in export["state"].items()}
        self.in_steps = export["driven"] == "steps"
        ready = {
            position: driving.ready(inputs[tensor["name"]], tensor, self.in_steps)
            for position, tensor in enumerate(export["inputs"])
            if tensor["name"] not in state
        }
        self.examples, self.steps = next(iter(ready.values())).shape[:2]
        self._sizes = [_bytes(tensor) for tensor in export["outputs"]]
        names = [tensor["name"] for tensor in export["outputs"]]
        self._back = {
            position: names.index(state[tensor["name"]])
            for position, tensor in enumerate(export["inputs"])
            if tensor["name"] in state
        }
        starts = {position: driving.zeros(export["inputs"][position]) for position in self._back}
        self.blobs = {position: value.tobytes() for position, value in {**ready, **starts}.items()}

    def script(self, command: str) -> str:
        """Return what the phone's shell does: cut the inputs out, run, keep the answer, carry the state."""
        inputs = self._export["inputs"]
        cut = [
            f"dd if=blob.{position} of=in.{position} bs={_bytes(inputs[position])} "
            "skip=$((example * steps + step)) count=1 2>/dev/null"
            for position in range(len(inputs))
            if position not in self._back
        ]
        begin = [f"cp blob.{position} in.{position}" for position in self._back]
        carry = [
            f"tail -c +{1 + sum(self._sizes[:output])} out | head -c {self._sizes[output]} > in.{position}"
            for position, output in self._back.items()
        ]
        return "\n".join(
            [
                "echo $$ > shell; rm -f answers; example=0; steps=" + str(self.steps),
                f"while [ $example -lt {self.examples} ]; do",
                *begin,
                "step=0",
                "while [ $step -lt $steps ]; do",
                *cut,
                "rm -f out",
                f"{command} > report 2>&1 & echo $! > child; wait $! || {{ cat report; exit 1; }}",
                f"[ $(wc -c < out) -eq {sum(self._sizes)} ] || {{ echo {_NO_OUTPUT}; exit 1; }}",
                "cat out >> answers || exit 1",
                *carry,
                "step=$((step + 1)); done",
                f"example=$((example + 1)); [ $((example % {_SAY_EVERY})) -eq 0 ] && echo $example",
                "done; true\n",
            ]
        )

    def outputs(self, content: bytes) -> worker.Arrays:
        """Return every answer as real numbers, as :meth:`Drive.outputs` does."""
        rows = np.frombuffer(content, np.uint8).reshape(self.examples, self.steps, sum(self._sizes))
        found: worker.Arrays = {}
        for index, tensor in enumerate(self._export["outputs"]):
            if tensor["name"] in self._export["state"]:
                continue
            start = sum(self._sizes[:index])
            raw = np.ascontiguousarray(rows[:, :, start : start + self._sizes[index]]).view(tensor["dtype"])
            shape = tensor["shape"][1:] if tensor["shape"][:1] == [1] else tensor["shape"]
            value = driving.from_tensor(raw.reshape(self.examples, self.steps, *shape), tensor)
            found[tensor["name"]] = value[:, -1]
            if self.in_steps:
                found[f"{tensor['name']}/steps"] = value
        return found


def _bytes(tensor: dict[str, Any]) -> int:
    return int(np.prod(tensor["shape"], dtype=int)) * int(np.dtype(tensor["dtype"]).itemsize)


def find(device: Device) -> Host | None:
    """Return the phone that is plugged in, if there is just one."""
    del device
    phones = _adb.listed()
    if not phones:
        return None
    if len(phones) > 1:
        names = ", ".join(f"{name} ({_adb.remedy(state)})" for name, state in phones)
        raise RequestError(f"{len(phones)} phones are there: {names}. Say which with --host SERIAL.")
    ((serial, state),) = phones
    if state != "device":
        raise DeviceError(f"The phone {serial} is {_adb.remedy(state)}.")
    return Host(address=serial)


def connect(device: Device, host: Host) -> Adb:
    """Reach the phone ``host``.

    Raises:
        DeviceError: no adb, no such phone, one that is not ready, or no benchmark_model; the text says what
            to do.
    """
    phone = Phone(host.address)
    states = dict(_adb.listed())
    if host.address not in states and ":" in host.address:
        phone.reach()
        states = dict(_adb.listed())
    state = states.get(host.address, "not there: adb devices lists " + (", ".join(states) or "none"))
    if state != "device":
        raise DeviceError(f"The phone {host.address} is {_adb.remedy(state)}.")
    if device.benchmark_model is None:
        raise DeviceError(
            f"The profile {device.name} names no benchmark_model, which runs models on a phone."
        )
    binary = Path(device.benchmark_model).expanduser()
    if not binary.is_file():
        raise DeviceError(
            f"There is no {binary}. Google publishes benchmark_model for Android: "
            "https://ai.google.dev/edge/litert/models/measurement (native benchmark binary, "
            "android_aarch64). Download it to that path, or name another in benchmark_model of a "
            "devices/mobile.toml of yours."
        )
    return Adb(device, phone, binary)
