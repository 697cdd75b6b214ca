"""An Android phone by ``adb``: Google's ``benchmark_model`` runs the model there, one process an example.

A phone has no Python: this module is its agent. It answers the same requests with the same documents. All
that varies in what the phone's shell is given are numbers; files there have names of ours.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from pydantic import ValidationError

from edgearch.agent import driving, measuring, worker
from edgearch.errors import DeviceError, RequestError
from edgearch.profiles import Device, Host
from edgearch.transports import _adb, _benchmark_model
from edgearch.transports._adb import Phone
from edgearch.transports._beside import Beside
from edgearch.work import Progress, save_arrays

ADDRESS = re.compile(r"[^@/]+")
EXAMPLE = "R58M123ABC (adb devices lists it) or 192.168.1.30:5555"
FOLDER = "/data/local/tmp"
_SAY_EVERY = 10  # examples
_HARDWARE = ("ranchu", "goldfish", "vbox86", "cutf_cvm")  # ro.hardware of emulators: Google's, Genymotion's
_NO_OUTPUT = "benchmark_model wrote no whole output: it may be an old one, without --output_filepath"


class Adb(Beside):
    """A folder of ours on a phone, for models and inputs, gone when the connection is closed."""

    def __init__(self, phone: Phone, binary: Path) -> None:
        super().__init__(phone.serial)
        self._phone, self._binary = phone, binary
        self._there = f"{FOLDER}/edgearch-{secrets.token_hex(6)}"
        self._ready = False

    def close(self) -> None:
        """End what runs on the phone and remove our folders there and here."""
        super().close()
        if self._ready:
            self._phone.quiet(self._ending())
            self._phone.quiet(f"rm -rf {self._there}")

    def _ending(self) -> str:
        """Return the command that ends what still runs: each removes its process number at its own end."""
        return (
            f"cd {self._there} && for one in shell child; do [ -f $one ] && kill -9 $(cat $one); rm -f $one; "
            "done; true"
        )

    def measure(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Run every example on the phone, time the models and profile them."""
        folder = self.unpacked(request)
        self._prepare(progress)
        locks = platformdirs.user_cache_path("edgearch") / "phones" / self._phone.serial.replace(":", "-")
        locks.mkdir(parents=True, exist_ok=True)
        with measuring.alone(locks, lambda text: progress(None, text)):
            before = self._condition()
            runtime = self._runtime(folder, request, progress)
            after = self._condition()
        return {
            "machine": self._machine(),
            "condition": {"before": before, "after": after},
            "runtimes": [{**runtime, "chosen": "set_aside" not in runtime}],
        }

    def _prepare(self, progress: Progress) -> None:
        if not self._ready:
            progress(None, "copying benchmark_model")
            # What runs that were killed left there; one that still goes on writes into its folder.
            self._phone.quiet(
                f"find {FOLDER} -maxdepth 1 -type d -name 'edgearch-*' -mmin +60 -exec rm -rf {{}} +"
            )
            self._phone.shell(f"mkdir -p {self._there}", "making a folder there")
            self._ready = True
            self._phone.push(self._binary, f"{self._there}/benchmark_model")
            self._phone.shell(f"chmod 755 {self._there}/benchmark_model", "preparing benchmark_model")

    def _runtime(self, folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Return the figures of the profile's first runtime, which benchmark_model is taken for."""
        (name, *_) = request["runtimes"]

        def run(export: dict[str, Any], inputs: worker.Arrays) -> tuple[dict[str, Any], worker.Arrays]:
            return self._role(folder, export, inputs, request, progress)

        try:
            figures, outputs = worker.every_role(folder, run)
        except (RuntimeError, ValueError) as error:
            return {"name": name, "set_aside": str(error)}
        save_arrays(self.folder / request["keep"], outputs)
        ran = [role for role in figures["roles"].values() if "refused" not in role]
        rest = {
            "version": ran[0]["version"] or "of benchmark_model",
            "threads": request["threads"],
            "peak_rss_bytes": max(role["peak_rss_bytes"] or 0 for role in ran) or None,
            **({"where": "emulated"} if self._is_emulator() else {}),
        }
        return measuring.judged(name, {**rest, **figures})

    def _role(
        self, folder: Path, export: dict[str, Any], inputs: worker.Arrays, request: dict[str, Any],
        progress: Progress,
    ) -> tuple[dict[str, Any], worker.Arrays]:  # fmt: skip
        """Run every example of a role, then time it, then profile it."""
        plan = _Plan(export, inputs)
        self._phone.push(folder / export["file"], f"{self._there}/model.tflite")
        for position, content in plan.blobs.items():
            blob = self.folder / f"blob.{position}"
            blob.write_bytes(content)
            self._phone.push(blob, f"{self._there}/blob.{position}")
        shapes = [tensor["shape"] for tensor in export["inputs"]]
        words = " ".join(_benchmark_model.arguments("model.tflite", shapes, request["threads"]))
        script = self.folder / "script"
        command = f"./benchmark_model {words} {' '.join(_benchmark_model.ONCE)}"
        script.write_text(plan.script(command), "ascii")
        self._phone.push(script, f"{self._there}/script")

        def hear(line: str) -> None:
            if line.isdigit():
                progress(int(line) / plan.examples, f"example {line} of {plan.examples}")

        self._run("sh script", f"running {export['file']}", request, hear)
        answers = self.folder / "answers"
        self._phone.pull(f"{self._there}/answers", answers, plan.answer_bytes)
        outputs = plan.outputs(answers.read_bytes())
        figures = self._timed(words, request, plan, progress)
        return figures, outputs

    def _timed(self, words: str, request: dict[str, Any], plan: _Plan, progress: Progress) -> dict[str, Any]:
        # Warm-up and timing of every part, and so of a slow model too, fit into the time that there is.
        most = request["timeout_seconds"] / worker.PARTS / 2
        timing = _benchmark_model.timing(request["seconds"] / worker.PARTS, most)
        runs = []
        for part in range(worker.PARTS):
            progress(part / worker.PARTS, "timing")
            report = self._report(f"{words} {' '.join(timing)}", "timing the model", request)
            runs.append(_benchmark_model.figures(report))
        medians = [run["median_ms"] for run in runs]
        latency = {
            "first": runs[0]["first_ms"],
            "p50": float(np.median(medians)),
            "runs": sum(run["runs"] for run in runs),
            "medians": medians,
            "of": f"{'medians' if runs[0]['is_median'] else 'means'} of {worker.PARTS} processes",
        }
        profiling = _benchmark_model.profiling(most)
        profiled = self._report(f"{words} {' '.join(profiling)}", "profiling the model", request)
        peaks = [run["peak_bytes"] for run in runs if run["peak_bytes"]]
        figures: dict[str, Any] = {
            "version": _benchmark_model.version(profiled),
            "load_ms": runs[0]["load_ms"],
            "latency_ms": latency,
            "arena_bytes": None,
            "undelegated": None,
            "peak_rss_bytes": max(peaks, default=None),
            **_benchmark_model.profiles(profiled),
        }
        if plan.steps > 1:
            whole = {"p50": latency["p50"] * plan.steps, "medians": [one * plan.steps for one in medians]}
            figures |= {"steps": plan.steps, "sequence_latency_ms": {**latency, **whole}}
        return figures

    def _report(self, words: str, doing: str, request: dict[str, Any]) -> str:
        """Run benchmark_model and return its report; its process number is kept, so that it can be ended."""
        command = f"trap 'rm -f child' EXIT; ./benchmark_model {words} 2>&1 & echo $! > child; wait $!"
        return self._run(command, doing, request)

    def _run(
        self, command: str, doing: str, request: dict[str, Any], hear: Callable[[str], object] = str
    ) -> str:
        """Run a ``command`` of benchmark_model's in our folder and return what it prints.

        Raises:
            RuntimeError: it refuses the model, crashed, or took too long and was ended.
            DeviceError: the phone is gone, or does not answer.
        """
        limit = request["timeout_seconds"]
        try:
            status, said = self._phone.run(f"cd {self._there} && {{ {command}; }}", doing, limit, hear)
        except TimeoutError as error:
            self._phone.shell(self._ending(), "ending benchmark_model")
            raise RuntimeError(f"benchmark_model took longer than {limit} s while {doing}") from error
        if status:
            raise RuntimeError(_benchmark_model.reason(status, said))
        return said

    def _is_emulator(self) -> bool:
        ask = self._phone.quiet
        return (
            "1" in (ask("getprop ro.kernel.qemu"), ask("getprop ro.boot.qemu"))
            or ask("getprop ro.hardware") in _HARDWARE
        )

    def _machine(self) -> dict[str, Any]:
        ask = self._phone.quiet
        release = ask("getprop ro.build.version.release")
        return {
            "architecture": ask("getprop ro.product.cpu.abi") or None,
            "processor": " ".join(
                filter(None, map(ask, ("getprop ro.product.manufacturer", "getprop ro.product.model")))
            ),
            "cores": int(cores) if (cores := ask("nproc")).isdigit() else None,
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
        self.answer_bytes = self.examples * self.steps * sum(self._sizes)
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
                # Numbers of processes that have ended may be another's when the connection is closed.
                "trap 'rm -f shell child' EXIT",
                f"echo $$ > shell; rm -f answers; example=0; steps={self.steps}",
                f"while [ $example -lt {self.examples} ]; do",
                *begin,
                "step=0",
                "while [ $step -lt $steps ]; do",
                *cut,
                "rm -f out",
                f"{command} > report 2>&1 & echo $! > child",
                "wait $! || { status=$?; cat report; exit $status; }",
                f"[ $(wc -c < out) -eq {sum(self._sizes)} ] || {{ echo {_NO_OUTPUT}; exit 1; }}",
                "cat out >> answers || exit 1",
                *carry,
                "step=$((step + 1)); done",
                f"example=$((example + 1)); [ $((example % {_SAY_EVERY})) -eq 0 ] && echo $example",
                "done; true\n",
            ]
        )

    def outputs(self, content: bytes) -> worker.Arrays:
        """Return every answer as real numbers, as :meth:`Drive.outputs` does.

        Raises:
            ValueError: they are more or fewer.
        """
        if len(content) != self.answer_bytes:
            raise ValueError(f"expected answers of {self.answer_bytes} bytes, found {len(content)}")
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
    """Return the phone that is plugged in, if there is just one; an emulator is none, unless it is named."""
    del device
    phones = [(serial, state) for serial, state in _adb.listed() if not serial.startswith("emulator-")]
    if not phones:
        return None
    if len(phones) > 1:
        names = ", ".join(f"{name} ({_adb.remedy(state)})" for name, state in phones)
        raise RequestError(f"{len(phones)} phones are there: {names}. Say which with --host SERIAL.")
    ((serial, state),) = phones
    if state != "device":
        raise DeviceError(f"The phone {serial} is {_adb.remedy(state)}.")
    try:
        return Host(address=serial)
    except ValidationError as error:  # paired anew, it is called "adb-… (2)._adb-tls-connect._tcp"
        raise DeviceError(
            f"adb calls the phone {serial!r}, expected a name without blanks and brackets. Run adb connect "
            "IP:PORT with what wireless debugging shows on the phone, then name it: --host IP:PORT."
        ) from error


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
        states = _adb.settled(host.address)
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
    return Adb(phone, binary)
