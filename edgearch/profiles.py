"""Device profiles and the user's hosts: data in TOML, checked before anything long starts.

Profiles ship with the package; a ``devices/`` folder where the user stands adds to them and, for a
file of the same name, takes their place. Hosts are entries in the user's own ``config.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from edgearch.errors import RequestError, unknown
from edgearch.records import HERE, Strict, data_file, data_files, matching, read_toml, text_of

Precision = Literal["float32", "float16", "dynamic", "int8", "int16x8"]
Where = Literal["device", "stand-in", "emulated", "simulated", "estimated"]
Processor = Literal["cpu", "mcu"]
Accelerator = Literal["edgetpu", "ethos-u55-128", "ethos-u65-256"]
ArenaRuntime = Literal["tflm"]  # of the runtimes, those that record a tensor arena

# user@host, as OpenSSH reads a destination, which a phone's serial number is too: no white space, no leading
# dash, nothing a shell reads. Or a serial port.
ADDRESS = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9_.:-]*|/dev(?:/[A-Za-z0-9_][A-Za-z0-9_.:+-]*)+"
)
# A folder on a device, from the home folder or from the root: nothing that a shell or sftp reads.
FOLDER = re.compile(r"/?[A-Za-z0-9_.][A-Za-z0-9_./-]*")
# One of pip's, on one line, or, for a browser, a package of npm in one version.
REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.\-\[\]]*[ \t]*(?:[<>=!~]=?[^;#\\\r\n]*)?(?:;[^#\\\r\n]*)?"
    r"|@[a-z-]+/[a-z-]+@[0-9.]+"
)
A_REQUIREMENT = "a requirement such as numpy<2"


class Memory(Strict):
    """What a device offers a model, in bytes.

    The overheads are what the runtime itself takes: its code in flash; its heap, stack and, where
    there is one, the Python around it in RAM.
    """

    ram_bytes: int = Field(gt=0)
    flash_bytes: int = Field(gt=0)
    ram_overhead_bytes: int = Field(default=0, ge=0)
    flash_overhead_bytes: int = Field(default=0, ge=0)


# One option and no more: it stands in a CMake file.
Flag = Annotated[
    str, matching(r"-m[a-z0-9=.+-]+", "an option for the compiler's target, such as -mcpu=cortex-m4")
]
# A program and plain words: it is started without a shell.
Emulator = Annotated[
    str,
    matching(
        r"qemu-system-arm( [A-Za-z0-9_./=,:-]+)+",
        "QEMU with its options, such as qemu-system-arm -machine mps2-an386 -kernel build/firmware.elf",
    ),
]
# As arduino-cli wants it: vendor:architecture:board, then what the board's menus leave open.
Board = Annotated[
    str,
    matching(
        "W:W:W(:W=W(,W=W)*)?".replace("W", "[A-Za-z0-9_.-]+"),
        "a board as arduino-cli calls it, such as arduino:mbed_nano:nano33ble or "
        "STMicroelectronics:stm32:Disco:pnum=DISCO_F746NG",
    ),
]
Header = Annotated[str, matching(r"[A-Za-z0-9_]+\.h", "a C header such as TensorFlowLite.h")]
Requirement = Annotated[str, matching(REQUIREMENT, A_REQUIREMENT)]


class BareMetal(Strict):
    """A Cortex-M without an operating system: where its memories begin, and what the compiler must know.

    ``clock_hz`` is the core clock after reset, which SysTick counts; ``run`` a command that runs the built
    ``firmware.elf``, where there is an emulator of the machine, and ``instructions_per_second`` what of its
    program passes in a second of the emulated clock (``-icount shift=0``: one a nanosecond).
    """

    cpu_flags: tuple[Flag, ...] = Field(min_length=1)
    clock_hz: int = Field(gt=0)
    flash_origin: int = Field(ge=0)
    ram_origin: int = Field(ge=0)
    run: Emulator | None = None
    instructions_per_second: int = Field(default=1_000_000_000, gt=0)


class Arduino(Strict):
    """What the Arduino tools build for and flash: one ``board``, or any; ``serial_baud`` is in bit/s.

    ``library_header`` is the header by which the tools find the TensorFlow Lite Micro library for the board.
    """

    board: Board | None = None
    library_header: Header = "TensorFlowLite.h"
    serial_baud: int = Field(default=115_200, gt=0)


class Firmware(Strict):
    """What a firmware project for the device needs to know.

    ``vectors`` is how many examples it holds to test itself with, where flash has room. The tensor arena is
    measured with reference kernels; ``arena_margin_bytes`` is added for what other kernels (CMSIS-NN) keep in
    it and for its alignment.
    """

    vectors: int = Field(default=8, ge=1, le=100)
    arena_margin_bytes: int = Field(default=2_048, ge=0)
    bare_metal: BareMetal | None = None
    arduino: Arduino | None = None


class Device(Strict):
    """One kind of machine, as a file in ``devices/`` describes it.

    ``operators`` (``None``: every builtin one) and each runtime's ``requirements`` come from the files
    ``opsets/`` and ``requirements/`` beside the profile, unless the profile gives its own;
    ``custom_operators`` are those that its runtimes bring along, ``missing_operators`` builtin ones that they
    lack. What the ``accelerator`` does not run, the
    ``processor`` does. ``max_nodes`` is the largest graph it takes as a whole, whose matrix grows with the
    square of the nodes. ``rewrites`` are forms of layers that suit it better than Keras's own: a model is
    built with those that its family knows. ``benchmark_model`` is where this machine has Google's program
    that runs models on a phone. With ``firmware``, a deployment makes a firmware project too.
    """

    name: str
    title: str
    transport: str
    without_host: Where
    precisions: tuple[Precision, ...] = Field(min_length=1)
    default_pipeline: str
    runtimes: tuple[str, ...] = Field(min_length=1)
    threads: int = Field(default=1, ge=1)
    opset: str = "builtin"
    operators: tuple[str, ...] | None = None
    custom_operators: tuple[str, ...] = ()
    missing_operators: tuple[str, ...] = ()
    processor: Processor = "cpu"
    accelerator: Accelerator | None = None
    requirements: dict[str, tuple[Requirement, ...]] = Field(default_factory=dict)
    arena_runtime: ArenaRuntime | None = None
    rewrites: tuple[str, ...] = ()
    latency_budget_ms: float | None = Field(default=None, gt=0)
    max_nodes: int | None = Field(default=None, ge=1)
    memory: Memory
    benchmark_model: str | None = None
    firmware: Firmware | None = None

    def refusal(self, precision: str) -> tuple[str, str] | None:
        """Say why models of ``precision`` do not run, and what to do; ``None`` if they do."""
        if precision in self.precisions:
            return None
        return f"{self.name} does not run {precision} models", (
            f"It runs {', '.join(self.precisions)}: convert the model so, as the pipelines of those names do "
            f"(the device's own is {self.default_pipeline})."
        )

    @field_validator("firmware")
    @classmethod
    def _measured_arena(cls, firmware: Firmware | None, info: ValidationInfo) -> Firmware | None:
        lacking = info.data.get("arena_runtime", "wrong") is None  # a wrong one has an error of its own
        if firmware and lacking:
            raise ValueError(
                "an arena_runtime in the profile too: a firmware's tensor arena is a measured one"
            )
        return firmware


Address = Annotated[
    str,
    matching(ADDRESS, "a destination such as pi@192.168.1.20, an alias of your ssh config or /dev/ttyACM0"),
]


def _folder(value: str) -> str:
    value = value.removeprefix("~/")
    if not FOLDER.fullmatch(value) or ".." in value.split("/"):
        raise ValueError("a folder such as .cache/edgearch or /data/edgearch: letters, digits, . _ -, no ..")
    return value


class Host(Strict):
    """How to reach one machine: an entry ``[hosts.NAME]`` of the user's ``config.toml``.

    ``address`` is what the transport takes: a destination of ssh, a phone's serial number, a port.
    ``transport`` is how it is reached, where that is not the device's own way: a phone may run an sshd.
    ``where`` is how its figures are obtained: a virtual machine says ``emulated``.
    """

    address: Address
    device: str | None = None
    transport: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    folder: Annotated[str, AfterValidator(_folder)] = ".cache/edgearch"
    ssh_config: Path | None = None
    where: Literal["device", "emulated"] = "device"


class _Config(Strict):
    hosts: dict[str, Host] = Field(default_factory=dict)


def device(name: str) -> Device:
    """Read the profile called ``name``, and look up the names in it.

    Raises:
        RequestError: there is none, a field of it is wrong, or something that it names is not there.
    """
    path = data_file("devices", "device", name)
    profile = read_toml(path, Device, name=name)
    for field, (what, known) in _named_in(profile).items():
        value = getattr(profile, field)
        for one in [value] if isinstance(value, str) else value:
            _look_up(f"{path}: Field {field!r}", what, one, known)
    wanted = {*profile.runtimes, *([profile.arena_runtime] if profile.arena_runtime else [])}
    found = {runtime: requirements(runtime) for runtime in sorted(wanted - set(profile.requirements))}
    operators = None if profile.opset == "builtin" else opset(profile.opset)
    return profile.model_copy(
        update={
            "requirements": {**found, **profile.requirements},
            "operators": profile.operators or operators,
        }
    )


def _named_in(profile: Device) -> dict[str, tuple[str, Collection[str]]]:
    """Return, for each field of ``profile`` that names something, what it names and what there is."""
    return {
        "transport": ("transport", _transports()),
        "default_pipeline": ("pipeline", data_files("pipelines")),
        "runtimes": ("runtime", {*data_files("devices/requirements", ".txt"), *profile.requirements}),
        "requirements": ("runtime", [*profile.runtimes, *filter(None, [profile.arena_runtime])]),
        "opset": ("op set", ["builtin", *data_files("devices/opsets")]),
        "rewrites": ("rewrite", tomllib.loads(text_of(HERE / "models" / "rewrites.toml"))),
    }


def _look_up(where: str, what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise RequestError(f"{where}: {unknown(what, name, known)}")


def _transports() -> list[str]:
    """Return the names of the transports: their folder is the list, and stands above this module."""
    return sorted(path.stem for path in (HERE / "transports").glob("[!_]*.py"))


def requirements(runtime: str) -> tuple[str, ...]:
    """Return what pip installs on a device for ``runtime``, a line each.

    Raises:
        RequestError: there is no such file, or a line of it is not a plain requirement.
    """
    path = data_file("devices/requirements", "runtime", runtime, ".txt")
    lines = [line.split("#")[0].strip() for line in text_of(path).splitlines()]
    for line in filter(None, lines):
        if not REQUIREMENT.fullmatch(line):
            raise RequestError(f"{path}: expected {A_REQUIREMENT}, found {line!r}.")
    return tuple(filter(None, lines))


class _Opset(Strict):
    source: str
    ops: tuple[str, ...]


def opset(name: str) -> tuple[str, ...]:
    """Return the builtin operators that the op set called ``name`` holds."""
    return read_toml(data_file("devices/opsets", "op set", name), _Opset).ops


def config_file() -> Path:
    """Return where the user's own settings are."""
    return platformdirs.user_config_path("edgearch") / "config.toml"


def hosts() -> dict[str, Host]:
    """Return the hosts that the user's config file names; without the file there are none.

    Raises:
        RequestError: there is something else in its place, or a field of it is wrong.
    """
    path = config_file()
    if not (path.exists() or path.is_symlink()):  # a link to nothing is a mistake, and no lack of a file
        return {}
    found = read_toml(path, _Config).hosts
    for name, host in found.items():
        if host.transport:
            _look_up(f"{path}: Field 'hosts.{name}.transport'", "transport", host.transport, _transports())
    return found


def host_for(device_name: str, named: str | None) -> Host | None:
    """Return the host to use: the one ``named``, else the config's only one for this device.

    Raises:
        RequestError: the name is neither an entry nor an address, or two entries fit.
    """
    known = hosts()
    if named is None:
        fitting = [name for name, host in known.items() if host.device == device_name]
        if len(fitting) > 1:
            raise RequestError(
                f"{config_file()} names {len(fitting)} hosts for device {device_name!r}: "
                f"{', '.join(sorted(fitting))}. Say which with --host NAME."
            )
        return known[fitting[0]] if fitting else None
    if named in known:
        return known[named]
    if not ADDRESS.fullmatch(named):
        raise RequestError(
            f"{named!r} is no host: expected user@address, an alias of your ssh config, a phone's serial "
            f"number, a port such as /dev/ttyACM0, or an entry of {config_file()}."
        )
    return Host(address=named)
