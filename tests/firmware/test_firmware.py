from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgearch import firmware, profiles, records
from edgearch.agent.driving import to_tensor
from edgearch.profiles import Device
from edgearch.tflite import model as tflite
from edgearch.work import load_arrays, save_arrays
from tests.conftest import Deployed, run_edgearch

BOARDS = ("esp32s3", "nano33ble", "rp2040", "stm32f746")
COMPILER = "arm-none-eabi-g++"
NEEDS_NO_TFLM = ("model_data.cc", "protocol.cc", "test_vectors.cc", "report.cc", "board.cc", "startup.cc")
STRICT = ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror")
# One epoch: what is tested is the project, not the accuracy.
QUICK = ("--set", "train.epochs=1", "--set", "validate.max_drop=1", "--set", "quantize.compare_sizes=[]")
HOSTILE = 'a"b\\c\n*/ ??/ é %s ../../'
FIT = {"arena_bytes": 8_544, "flash_bytes": 140_000}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A small model on a board; its stages are there for the other devices of this module."""
    folder = tmp_path_factory.mktemp("board")
    done = run_edgearch("deploy", "mlp", "--device", "esp32s3", "--json", *QUICK, cwd=folder)
    return Deployed(folder, done, "mlp-digits-esp32s3-int8", QUICK)


@pytest.fixture(scope="module")
def project(recurrent: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware project of an LSTM: one role that runs once, and one that runs in steps."""
    folder = tmp_path_factory.mktemp("project")
    firmware.write(folder, recurrent.bundle, profiles.device("mcu"), FIT, "lstm")
    return folder


def source(project: Path, name: str) -> str:
    return (project / "src" / name).read_text(encoding="utf-8")


def array(project: Path, name: str, file: str = "test_vectors.cc") -> list[float]:
    """Return the elements of a C array."""
    found = re.search(rf"{name}\[\] = \{{\n(.*?)\n\}};", source(project, file), re.DOTALL)
    assert found, f"no array {name} in {file}"
    return [float(int(word, 0)) if "." not in word else float(word.rstrip("f")) for word in words(found[1])]


def words(text: str) -> list[str]:
    return [word for word in text.replace("\n", " ").replace(",", " ").split() if word]


def manifest(bundle: Path) -> Any:
    return json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))


def compile_parts(project: Path, flags: tuple[str, ...], scratch: Path) -> None:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"no {COMPILER}: install gcc-arm-none-eabi, libnewlib-arm-none-eabi and its libstdc++")
    scratch.mkdir(exist_ok=True)
    parts = [path for path in sorted(project.rglob("*.cc")) if path.name in NEEDS_NO_TFLM]
    assert len(parts) >= 3
    for part in parts:
        done = subprocess.run(
            [COMPILER, *flags, *STRICT, "-c", str(part), "-o", str(scratch / f"{part.stem}.o")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_model_data_equals_the_bytes_of_the_files(recurrent: Deployed, project: Path) -> None:
    for index, role in enumerate(("sequence", "step")):
        content = (recurrent.bundle / f"{role}.tflite").read_bytes()
        assert bytes(map(int, array(project, f"{role}_{index}_data", "model_data.cc"))) == content
        assert f"{role}_{index}_data_bytes = {len(content)};" in source(project, "model_data.h")


def test_resolver_adds_exactly_the_operators_of_the_models(recurrent: Deployed, project: Path) -> None:
    used = {op for path in recurrent.bundle.glob("*.tflite") for op in tflite.read(path).ops()}
    added = re.findall(r"resolver\.(Add\w+)\(\)", source(project, "resolver.h"))
    assert {method.removeprefix("Add").lower() for method in added} == {
        op.replace("_", "").lower() for op in used
    }
    assert f"MicroMutableOpResolver<{len(used)}>" in source(project, "resolver.h")


def test_every_operator_of_the_op_set_has_a_method_of_the_resolver() -> None:
    known = firmware._methods()
    assert set(known) == set(profiles.opset("tflm"))
    assert len(set(known.values())) == len(known)


def test_arena_is_the_measured_one_with_the_margin_of_the_profile(project: Path) -> None:
    found = re.search(r"kArenaBytes = (\d+);", source(project, "resolver.h"))
    assert found
    assert FIT["arena_bytes"] + 2_048 <= int(found[1]) < FIT["arena_bytes"] + 2_048 + 1_024
    assert int(found[1]) % 1_024 == 0


def test_arena_is_never_less_than_measured_nor_more_than_the_ram_that_is_left() -> None:
    device = profiles.device("mcu")
    left = device.memory.ram_bytes - device.memory.ram_overhead_bytes
    assert firmware.arena_bytes(left - 100, device) == left
    assert firmware.arena_bytes(left, device) == left


def test_vectors_are_the_inputs_and_expected_outputs_of_the_bundle(
    recurrent: Deployed, project: Path
) -> None:
    roles = manifest(recurrent.bundle)["roles"]
    inputs, expected = (load_arrays(recurrent.bundle / f"{name}.npz") for name in ("inputs", "expected"))
    for index, (role, export) in enumerate(roles.items()):
        state = export["state"]
        for kind, arrays, tensors in (("input", inputs, "inputs"), ("expected", expected, "outputs")):
            for position, tensor in enumerate(export[tensors]):
                if tensor["name"] not in {*state, *state.values()}:
                    raw = to_tensor(arrays[f"{role}/{tensor['name']}"][:8], tensor).reshape(-1)
                    assert array(project, f"{role}_{index}_{kind}{position}") == raw.tolist()


def test_step_role_feeds_its_state_back_from_the_right_output_to_the_right_input(
    recurrent: Deployed, project: Path
) -> None:
    export = manifest(recurrent.bundle)["roles"]["step"]
    inputs = [tensor["name"] for tensor in export["inputs"]]
    outputs = [tensor["name"] for tensor in export["outputs"]]
    table = re.search(r"step_1_states\[\] = \{\n(.*?)\n\};", source(project, "test_vectors.cc"), re.DOTALL)
    assert table
    rows = re.findall(r"\{(\d+), (\d+), (\w+), (\d+)\}", table[1])
    fed = {(int(output), int(target)) for output, target, _, _ in rows}
    assert fed == {(outputs.index(one), inputs.index(other)) for one, other in export["state"].items()}
    for _, target, start, size in rows:
        tensor = export["inputs"][int(target)]
        assert array(project, start) == [tensor["zero_point"]] * int(size)  # a state of real zeros
    assert "step_1_data, 8, 8," in source(project, "test_vectors.cc")  # 8 examples of 8 steps


def test_role_that_runs_once_has_no_state(project: Path) -> None:
    assert "sequence_0_states" not in source(project, "test_vectors.cc")


def test_parts_that_need_no_tflm_compile_without_a_warning(project: Path, tmp_path: Path) -> None:
    bare_metal = profiles.device("mcu").firmware.bare_metal  # type: ignore[union-attr]
    assert bare_metal
    compile_parts(project, bare_metal.cpu_flags, tmp_path / "objects")


def test_startup_console_timer_and_comparing_work_on_an_emulated_cortex_m4(
    project: Path, tmp_path: Path
) -> None:
    for tool in (COMPILER, "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: install gcc-arm-none-eabi and qemu-system-arm")
    built = tmp_path / "build" / "firmware.elf"
    built.parent.mkdir()
    bare_metal = profiles.device("mcu").firmware.bare_metal  # type: ignore[union-attr]
    assert bare_metal and bare_metal.run
    parts = [path for path in sorted(project.rglob("*.cc")) if path.name in NEEDS_NO_TFLM]
    linking = [
        "-nostartfiles",
        "--specs=nano.specs",
        "--specs=nosys.specs",
        f"-I{project}",
        f"-I{project}/src",
    ]
    harness = Path(__file__).with_name("console.cc")
    linked = [*linking, "-T", str(project / "cortex_m/memory.ld"), "-o", str(built), str(harness)]
    subprocess.run(
        [COMPILER, *bare_metal.cpu_flags, *STRICT, "-O1", *linked, *map(str, parts)],
        check=True,
        capture_output=True,
    )
    done = subprocess.run(
        shlex.split(bare_metal.run), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout + done.stderr)
    assert found == {
        "model": "lstm",
        "started": True,
        "steady": True,
        "sequence": {"logits": 80},
        "step": {"logits": 80},
        "largest": 3.0,
        "within_2": False,
        "within_2.2": True,
        "nan": None,
        "nan_within": False,
        "pi": 3.141593,
    }


def test_hostile_names_stay_inside_their_literals(recurrent: Deployed, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    renamed(recurrent.bundle, bundle)
    folder = tmp_path / "deep" / "firmware"
    written = firmware.write(folder, bundle, profiles.device("mcu"), FIT, HOSTILE)
    assert all(path.resolve().is_relative_to(folder) for path in written)
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "deep"}
    text = source(folder, "test_vectors.cc")
    literals = re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)
    decoded = {json.loads(re.sub(r"\\(.)", r"\1", one)) for one in literals if one.startswith('\\"')}
    assert {f"{HOSTILE}sequence", f"{HOSTILE}step", f"{HOSTILE}0"} <= decoded
    outside = re.sub(r'"(?:[^"\\\n]|\\.)*"', "", text)
    assert not re.search(r"\*/|\?\?|%|\.\.|é", outside)
    for name in ("README.md", "library.properties"):
        assert "*/" not in (folder / name).read_text(encoding="utf-8")
    compile_parts(folder, ("-mcpu=cortex-m4", "-mthumb"), tmp_path / "deep" / "objects")


def renamed(source_bundle: Path, target: Path) -> None:
    """Copy a bundle; every role and tensor of the copy has a hostile name."""
    shutil.copytree(source_bundle, target)
    found = manifest(target)
    for export in found["roles"].values():
        names = {one["name"]: f"{HOSTILE}{place}" for place, one in enumerate(export["outputs"])}
        fed = {one["name"]: f"{HOSTILE}in{place}" for place, one in enumerate(export["inputs"])}
        export["state"] = {names[output]: fed[target] for output, target in export["state"].items()}
        export["_names"] = {**names, **fed}
        for one in (*export["outputs"], *export["inputs"]):
            one["name"] = export["_names"][one["name"]]
    for kind in ("inputs", "expected"):
        rename_arrays(target / f"{kind}.npz", found["roles"])
    found["roles"] = {f"{HOSTILE}{role}": export for role, export in found["roles"].items()}
    (target / "manifest.json").write_text(json.dumps(found), encoding="utf-8")


def rename_arrays(path: Path, roles: dict[str, Any]) -> None:
    arrays = {}
    for name, value in load_arrays(path).items():
        role, tensor, *rest = name.split("/")
        if not rest:
            arrays[f"{HOSTILE}{role}/{roles[role]['_names'][tensor]}"] = value
    save_arrays(path, arrays)


def test_project_holds_as_many_vectors_as_flash_has_room_for(recurrent: Deployed, tmp_path: Path) -> None:
    device = profiles.device("mcu")
    # An example of either role is 64 bytes in and 10 out; the step's two states begin with 64 bytes each.
    fit = {**FIT, "flash_bytes": device.memory.flash_bytes - (3 * 2 * 74 + 128)}
    firmware.write(tmp_path, recurrent.bundle, device, fit, "lstm")
    assert len(array(tmp_path, "sequence_0_expected0")) == 3 * 10


def test_flash_without_room_for_one_vector_is_an_error_that_says_so(
    recurrent: Deployed, tmp_path: Path
) -> None:
    device = profiles.device("mcu")
    fit = {**FIT, "flash_bytes": device.memory.flash_bytes - 10}
    with pytest.raises(firmware.NoRoomError, match="10 bytes of flash left"):
        firmware.write(tmp_path / "firmware", recurrent.bundle, device, fit, "lstm")
    assert not (tmp_path / "firmware").exists()


def test_floats_come_back_exactly_from_their_literals() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.standard_normal(1000) * 10.0**e for e in (-30, 0, 30)]).astype(np.float32)
    written = [word.rstrip("f") for word in words(firmware.literals.elements(values))]
    assert np.array_equal(np.array(written, np.float64).astype(np.float32), values)


@pytest.mark.parametrize("name", BOARDS)
def test_board_is_listed_and_asks_for_firmware(name: str) -> None:
    device = profiles.device(name)
    assert device.firmware and device.firmware.arduino and device.firmware.arduino.board
    assert (device.opset, device.arena_runtime, device.without_host) == ("tflm", "tflm", "simulated")
    assert name in records.data_files("devices")


def test_deployment_to_a_board_ends_in_a_firmware_project(board: Deployed) -> None:
    assert board.done.code == 0, board.done.stderr
    document = board.done.document
    folder = board.folder / document["firmware"]
    assert folder == board.bundle.parent / "firmware"
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# Firmware: mlp, digits, int8")
    model = (board.bundle / "model.tflite").read_bytes()
    assert bytes(map(int, array(folder, "model_0_data", "model_data.cc"))) == model
    arena = re.search(r"kArenaBytes = (\d+);", source(folder, "resolver.h"))
    assert arena and int(arena[1]) >= document["fit"]["arena_bytes"]
    assert document["where"] == "simulated"


def test_parts_of_a_project_are_those_that_the_profile_asks_for(board: Deployed, tmp_path: Path) -> None:
    for name in BOARDS:
        device = profiles.device(name)
        firmware.write(tmp_path / name, board.bundle, device, board.done.document["fit"], "mlp")
        assert device.firmware
        assert (tmp_path / name / "CMakeLists.txt").exists() == (device.firmware.bare_metal is not None)
        properties = (tmp_path / name / "library.properties").read_text(encoding="utf-8")
        assert f"architectures={device.firmware.arduino.board.split(':')[1]}\n" in properties  # type: ignore[union-attr]
        for sketch in ("run_test_vectors", "serve"):
            text = (tmp_path / name / "examples" / sketch / f"{sketch}.ino").read_text(encoding="utf-8")
            assert f"#include <{device.firmware.arduino.library_header}>" in text  # type: ignore[union-attr]
    compile_parts(tmp_path / "stm32f746", flags_of(profiles.device("stm32f746")), tmp_path / "objects")


ARDUINO = """
#pragma once
#include <stdint.h>
#include <stdlib.h>
struct Console {
  void begin(long) {}
  void print(const char*) {}
  int read() { return -1; }
  explicit operator bool() const { return true; }
};
static Console Serial;
static uint32_t now;
static uint32_t micros() { return now; }
"""
ACROSS_A_WRAP = """
namespace edgearch {
[[noreturn]] void Serve(const Board&, int (*)()) { abort(); }
bool Run(const Board&) { return true; }
}
int main() {
  now = 4294967290u;
  const uint64_t start = Ticks();
  now = 20;
  const uint64_t inside = Ticks();
  now = 4294967295u;
  return inside - start == 26 && Ticks() - inside == 4294967275u ? 0 : 1;
}
"""


@pytest.mark.parametrize("sketch", ["run_test_vectors", "serve"])
def test_ticks_of_a_sketch_go_on_where_micros_begins_anew(
    sketch: str, board: Deployed, tmp_path: Path
) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++: install g++")
    device = profiles.device("esp32s3")
    project = tmp_path / "firmware"
    firmware.write(project, board.bundle, device, board.done.document["fit"], "mlp")
    assert device.firmware and device.firmware.arduino
    (tmp_path / device.firmware.arduino.library_header).write_text(ARDUINO, encoding="utf-8")
    ino = project / "examples" / sketch / f"{sketch}.ino"
    main = tmp_path / "main.cc"
    main.write_text(f'#include "{ino}"\n{ACROSS_A_WRAP}', encoding="utf-8")
    built = tmp_path / "main"
    folders = (f"-I{tmp_path}", f"-I{project / 'src'}")
    done = subprocess.run(
        [compiler, *STRICT, *folders, str(main), "-o", str(built)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert subprocess.run([built], check=False).returncode == 0


def flags_of(device: Device) -> tuple[str, ...]:
    assert device.firmware and device.firmware.bare_metal
    return device.firmware.bare_metal.cpu_flags


def test_model_that_does_not_fit_has_no_firmware_and_an_old_one_is_removed(board: Deployed) -> None:
    devices = board.folder / "devices"
    devices.mkdir()
    profile = (records.data_folders("devices")[-1] / "mcu.toml").read_text(encoding="utf-8")
    (devices / "small.toml").write_text(profile, encoding="utf-8")
    fitting = board.again("deploy", "mlp", "--device", "small", "--json", *QUICK)
    assert fitting.code == 0, fitting.stderr
    folder = board.folder / fitting.document["firmware"]
    assert (folder / "README.md").is_file()
    (devices / "small.toml").write_text(profile.replace("256_000", "17_000"), encoding="utf-8")
    over = board.again("deploy", "mlp", "--device", "small", "--json", *QUICK)
    assert over.code == 1
    assert "bytes of RAM" in over.document["failures"][0]
    assert over.document["firmware"] is None
    assert not folder.exists()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('arena_runtime = "tflm"', "", ["'firmware'", "arena_runtime"]),
        ('"-mthumb"', '"-mthumb) execute_process("', ["cpu_flags", "-mthumb) execute_process("]),
        ("clock_hz = 25_000_000", "clock_hz = 0", ["clock_hz", "greater than 0"]),
    ],
)
def test_wrong_firmware_field_names_file_field_and_value(
    old: str, new: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "devices").mkdir()
    text = (records.data_folders("devices")[-1] / "mcu.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "devices" / "mine.toml").write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(profiles.RequestError) as error:
        profiles.device("mine")
    for part in ("mine.toml", *expected):
        assert part in str(error.value)
