"""Bad input: one clear paragraph on stderr, the right exit code, nothing written, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgearch import pipeline, profiles, records
from edgearch.errors import RequestError
from tests.conftest import ROOT, Done

Edgearch = Callable[..., Done]


def refused(done: Done, code: int, *words: str) -> None:
    assert done.code == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def stages(*names: str) -> str:
    """Return a pipeline's file with these stages."""
    return "\n".join(['summary = "x"', *(f'[[stages]]\nname = "{name}"' for name in names), ""])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deploy", "cnm", "--device", "rpi"], ["No model 'cnm'", "cnn-resnet8", "mlp"]),
        (["deploy", "cnn", "--device", "rpy"], ["No device 'rpy'", "coral, desktop", "rpi"]),
        (["deploy", "cnn", "--device", "rpi", "--pipeline", "int7"], ["No pipeline 'int7'", "prune-int8"]),
        (["deploy", "cnn", "--device", "rpi", "--dataset", "imagenet"], ["No dataset 'imagenet'", "digits"]),
        (["deploy", "cnn", "--device", "rpi", "--set", "train.epochs=many"], ["epochs", "integer", "'many'"]),
        (["deploy", "cnn", "--device", "rpi", "--set", "train.epoch=3"], ["'epoch'", "unknown", "epochs"]),
        (["deploy", "cnn", "--device", "rpi", "--set", "epochs=3"], ["STAGE.KEY=VALUE"]),
        (["deploy", "cnn", "--device", "rpi", "--again", "trian"], ["No stage 'trian'", "train"]),
        (["deploy", "cnn", "--device", "rpi", "--host=-oProxyCommand=x"], ["is no host", "user@address"]),
        (["deploy", "cnn", "--device", "rpi", "--host", "pi; rm -rf /"], ["is no host"]),
        (["deploy", "cnn", "--device", "desktop", "--host", "pi@somewhere"], ["takes no host"]),
        (["deploy", "cnn", "--device", "mcu", "--host", "pi@somewhere"], ["serial", "/dev/ttyACM0"]),
        (["deploy", "cnn", "--device", "rpi", "--data-folder", "nowhere"], ["nowhere", "no such folder"]),
        (["compare", "nothing", "--device", "rpi"], ["No model 'nothing'"]),
        (["check", "cnn", "--device", "nothing"], ["No device 'nothing'"]),
        (["run", "cnn", "--device", "rpi"], ["not a .tflite file", "edgearch deploy cnn"]),
        (["run", "missing.tflite", "--device", "rpi"], ["missing.tflite", "No such file"]),
        (["check", "missing.tflite", "--device", "rpi"], ["missing.tflite"]),
        (["devices", "rpy"], ["No device 'rpy'"]),
    ],
)
def test_wrong_requests_exit_2_and_say_what_there_is(
    edgearch: Edgearch, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    refused(edgearch(*arguments), 2, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n not a model at all", "not a TFLite model"),
        (b"short", "not a TFLite model"),
        (b"\x1c\0\0\0TFL3" + b"\xff" * 200, "truncated or damaged"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "check"])
def test_file_that_is_no_model_exits_2_and_writes_nothing(
    edgearch: Edgearch, tmp_path: Path, verb: str, content: bytes, word: str
) -> None:
    (tmp_path / "x.tflite").write_bytes(content)
    refused(edgearch(verb, "x.tflite", "--device", "rpi"), 2, "x.tflite", word)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tflite"]


def test_truncated_model_exits_2(edgearch: Edgearch, tmp_path: Path, int8_model: Path) -> None:
    content = int8_model.read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: len(content) // 2])
    refused(edgearch("run", "cut.tflite", "--device", "rpi"), 2, "truncated or damaged")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("threads = 1", "threads = 1\nwheels = 4"), ["'wheels'", "unknown", "threads"]),
        (('transport = "ssh"\n', ""), ["'transport'", "found none"]),
        (("ram_bytes = 1_000_000_000", 'ram_bytes = "lots"'), ["'memory.ram_bytes'", "integer", "'lots'"]),
        (("ram_bytes", "rom_bytes"), ["'memory.rom_bytes'", "ram_bytes"]),
        (('"int8", ', '"int9", '), ["precisions", "'int9'"]),
        (('runtimes = ["litert"', 'runtimes = ["onnx"'), ["'runtimes'", "No runtime 'onnx'", "litert"]),
        (
            ('transport = "ssh"', 'transport = "telepathy"'),
            ["'transport'", "No transport 'telepathy'", "ssh"],
        ),
        (
            ('default_pipeline = "int8"', 'default_pipeline = "int9"'),
            ["'default_pipeline'", "No pipeline 'int9'"],
        ),
        (('rewrites = ["layer-norm-by-mul"', 'rewrites = ["faster"'), ["'rewrites'", "No rewrite 'faster'"]),
        (("threads = 1", 'threads = 1\naccelerator = "warp"'), ["'accelerator'", "edgetpu", "'warp'"]),
        (
            ("threads = 1", 'threads = 1\nopset = "tflite"'),
            ["'opset'", "No op set 'tflite'", "builtin, tflm"],
        ),
        (("threads = 1", 'threads = 1\narena_runtime = "litert"'), ["'arena_runtime'", "'tflm'", "'litert'"]),
        (("threads = 1", 'threads = 1\narena_runtime = "litertjs-wasm"'), ["'arena_runtime'", "'tflm'"]),
        (
            ("threads = 1", 'threads = 1\nrequirements = {litert = ["numpy<2\\n-r x"]}'),
            ["'requirements.litert.0'", "such as numpy<2", "-r x"],
        ),
        (
            ("threads = 1", 'threads = 1\nrequirements = {litrt = ["numpy<2"]}'),
            ["'requirements'", "No runtime 'litrt'", "litert"],
        ),
        (
            ("[memory]", '[firmware.arduino]\nbord = "x"\n[memory]'),
            ["'firmware.arduino.bord'", "board, library_header, serial_baud"],
        ),
        (
            ("[memory]", '[firmware.arduino]\nboard = "Disco"\n[memory]'),
            ["'firmware.arduino.board'", "such as arduino:mbed_nano:nano33ble", "'Disco'"],
        ),
        (("[memory]", "[memory"), ["expected a TOML file"]),
        (("threads = 1", f"threads = {'9' * 5000}"), ["expected a TOML file"]),
    ],
)
def test_wrong_profile_names_file_field_expected_and_found(
    edgearch: Edgearch, tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    (tmp_path / "devices").mkdir()
    profile = (ROOT / "devices" / "rpi.toml").read_text()
    assert change[0] in profile
    (tmp_path / "devices" / "mine.toml").write_text(profile.replace(*change))
    refused(edgearch("deploy", "cnn", "--device", "mine"), 2, "mine.toml", *words)
    assert not (tmp_path / "build").exists()


def test_list_with_one_wrong_item_is_not_called_too_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices").mkdir()
    coral = (ROOT / "devices" / "coral.toml").read_text()
    (tmp_path / "devices" / "mine.toml").write_text(coral.replace('["int8"]', '["int4"]'))
    with pytest.raises(RequestError, match=r"'precisions\.0': expected .*, found 'int4'\.$"):
        profiles.device("mine")
    (tmp_path / "devices" / "mine.toml").write_text(coral.replace('["int8"]', "[]"))
    with pytest.raises(RequestError, match=r"'precisions': expected at least 1 item, found \[\]\.$"):
        profiles.device("mine")


def test_requirements_that_are_no_text_are_named(edgearch: Edgearch, tmp_path: Path) -> None:
    (tmp_path / "devices" / "requirements").mkdir(parents=True)
    (tmp_path / "devices" / "requirements" / "litert.txt").write_bytes(b"numpy<2\xff\n")
    refused(edgearch("devices", "rpi"), 2, "litert.txt", "UTF-8", "0xff")


@pytest.mark.parametrize("name", ["-x", "a b", ".#rpi"])
def test_file_whose_stem_is_no_name_is_no_device_and_says_why(
    edgearch: Edgearch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / f"{name}.toml").write_text("no profile at all")
    listed = edgearch("devices")
    assert listed.code == 0, listed.stderr
    assert name not in listed.stdout
    refused(edgearch("deploy", "cnn", f"--device={name}"), 2, f"No device {name!r}", "rename the file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            'transport = "carrier-pigeon"',
            ["'hosts.pi.transport'", "No transport 'carrier-pigeon'", "adb, browser"],
        ),
        ('colour = "red"', ["'hosts.pi.colour'", "unknown", "address, device, folder"]),
        ("port = 0", ["'hosts.pi.port'", "greater than or equal to 1"]),
    ],
)
def test_wrong_host_names_file_field_expected_and_found(
    edgearch: Edgearch, tmp_path: Path, content: str, words: list[str]
) -> None:
    (tmp_path / "edgearch").mkdir()
    (tmp_path / "edgearch" / "config.toml").write_text(f'[hosts.pi]\naddress = "pi"\n{content}\n')
    done = edgearch("deploy", "cnn", "--device", "rpi", XDG_CONFIG_HOME=str(tmp_path))
    refused(done, 2, "config.toml", *words)


def test_config_that_is_a_folder_or_links_to_nothing_is_named(edgearch: Edgearch, tmp_path: Path) -> None:
    config = tmp_path / "edgearch" / "config.toml"
    config.mkdir(parents=True)
    asked = ("deploy", "cnn", "--device", "rpi")
    refused(edgearch(*asked, XDG_CONFIG_HOME=str(tmp_path)), 2, "config.toml", "Is a directory")
    config.rmdir()
    config.symlink_to("nowhere")
    refused(edgearch(*asked, XDG_CONFIG_HOME=str(tmp_path)), 2, "config.toml", "No such file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("def mine(:", ["SyntaxError", "line 1"]),
        ("import not_there", ["ModuleNotFoundError", "not_there"]),
        ("raise SystemExit", ["SystemExit"]),
        ("x = 1", ["VARIANTS", "found none"]),
        ("VARIANTS = 5", ["VARIANTS, a dict from a variant's name to its builder", "5"]),
        ("VARIANTS = {'../x': print}", ["VARIANTS", "../x"]),
        ("VARIANTS = {'mine': print}\nALIASES = {'my': 'other'}", ["ALIASES", "'other'"]),
    ],
)
def test_file_that_is_no_family_is_named_with_what_is_wrong(
    edgearch: Edgearch, tmp_path: Path, content: str, words: list[str]
) -> None:
    (tmp_path / "mine.py").write_text(content)
    done = edgearch("deploy", "cnn", "--device", "rpi", EDGEARCH_MODELS=str(tmp_path))
    refused(done, 2, str(tmp_path / "mine.py"), *words)


def test_folder_of_families_that_does_not_exist_is_refused(edgearch: Edgearch) -> None:
    refused(edgearch("models", EDGEARCH_MODELS="/nope"), 2, "EDGEARCH_MODELS=/nope", "no such folder")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('summary = "x"\n[[stages]]\nname = "trian"\n', ["mine.toml", "No stage 'trian'", "train"]),
        ('summary = "x"\n[[stages]]\nname = "prune"\nsparsity = 1.5\n', ["mine.toml", "'sparsity'", "1.5"]),
        ('summary = "x"\n[[stages]]\nname = "prune"\nsparse = 0.5\n', ["mine.toml", "'sparse'", "sparsity"]),
        ('[[stages]]\nname = "train"\n', ["mine.toml", "'summary'", "found none"]),
        ('summary = "x"\nstages = []\n', ["mine.toml", "'stages'", "at least 1 item"]),
        (stages("check"), ["mine.toml", "stages.0 (check)", "Put train, convert there"]),
        (stages("package"), ["stages.0 (package)", "expected train, convert, validate", "found no stage"]),
        (stages("measure"), ["stages.0 (measure)", "expected train, convert, validate, package before it"]),
        (stages("convert", "train"), ["stages.0 (convert)", "expected train before it"]),
        (stages("train", "convert", "mix"), ["stages.2 (mix)", "Put quantize there"]),
        (stages("train", "prune", "validate"), ["stages.2 (validate)", "found train, prune. Put convert"]),
    ],
)
def test_wrong_pipeline_names_file_field_expected_and_found(
    edgearch: Edgearch, tmp_path: Path, content: str, words: list[str]
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "mine.toml").write_text(content)
    refused(edgearch("deploy", "cnn", "--device", "rpi", "--pipeline", "mine"), 2, *words)


def test_check_with_a_pipeline_that_does_not_train_says_what_is_missing(
    edgearch: Edgearch, tmp_path: Path
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "mine.toml").write_text(stages("check"))
    refused(edgearch("check", "cnn", "--device", "rpi", "--pipeline", "mine"), 2, "mine.toml", "Put train")


def test_pipeline_may_leave_out_what_no_later_stage_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    wanted = ("train", "convert", "validate", "package", "measure")
    (tmp_path / "pipelines" / "mine.toml").write_text(stages(*wanted))
    read = pipeline.read("mine")
    assert tuple(step.name for step in read.steps) == wanted
    assert [step.name for step in read.only("train", "check").steps] == ["train"]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"picture": np.zeros((2, 8, 8, 1))}, ["named image", "found picture"]),
        ({"image": np.zeros((2, 9, 9, 1))}, ["(examples, 8, 8, 1)", "(2, 9, 9, 1)"]),
        ({"image": np.full((2, 8, 8, 1), np.nan)}, ["finite"]),
        ({"image": np.array(["a"])}, ["expected"]),
        ({"image": np.zeros((0, 8, 8, 1))}, ["found (0, 8, 8, 1)"]),
    ],
)
def test_wrong_inputs_say_what_the_model_takes(
    edgearch: Edgearch, tmp_path: Path, int8_model: Path, arrays: dict[str, np.ndarray], words: list[str]
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    refused(edgearch("run", str(int8_model), "--device", "rpi", "--inputs", "x.npz"), 2, *words)


def test_inputs_with_pickled_objects_are_refused(
    edgearch: Edgearch, tmp_path: Path, int8_model: Path
) -> None:
    np.savez(tmp_path / "x.npz", image=np.array([{"a": 1}], dtype=object))
    refused(edgearch("run", str(int8_model), "--device", "rpi", "--inputs", "x.npz"), 2, "plain arrays")


def test_build_folder_that_cannot_be_written_is_named(edgearch: Edgearch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused(edgearch("deploy", "cnn", "--device", "rpi", "--build", "file"), 2, "file", "directory")


def test_terminal_without_unicode_is_no_reason_to_fail(edgearch: Edgearch) -> None:
    done = edgearch("pipelines", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.code == 0, done.stderr
    assert "train" in done.stdout


def test_make_without_a_model_says_what_to_type() -> None:
    import subprocess

    done = subprocess.run(
        ["make", "--no-print-directory", "deploy", "DEVICE=rpi", "READY="],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "MODEL=cnn DEVICE=rpi" in done.stderr


def test_profile_may_bring_the_requirements_of_a_runtime_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (records.data_folders("devices")[-1] / "browser.toml").read_text(encoding="utf-8")
    text = text.replace('"litertjs-wasm", "litertjs-webgpu"', '"litertjs-webnn"')
    own = 'requirements = { litertjs-webnn = ["@litertjs/core@2.5.3"] }\n'
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "mine.toml").write_text(own + text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert profiles.device("mine").requirements == {"litertjs-webnn": ("@litertjs/core@2.5.3",)}
