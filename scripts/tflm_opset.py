"""Print the operators that the installed tflite-micro runs, as devices/opsets/tflm.toml.

Each operator code is written in turn over the first one of a tiny model and the model is handed to the
interpreter in a process of its own: an operator that the resolver lacks is named in its complaint.
Run it where tflite-micro and ai-edge-litert are installed:

    python scripts/tflm_opset.py MODEL.tflite > devices/opsets/tflm.toml
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

LOAD = """
import sys
from tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=1 << 20)
"""


def with_operator(model: bytes, code: int) -> bytes:
    """Return ``model`` with its first operator code replaced by ``code``."""
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    tree.operatorCodes[0].builtinCode = code
    tree.operatorCodes[0].deprecatedBuiltinCode = min(code, 127)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def is_known(model: bytes, code: int, folder: Path) -> bool:
    """Say whether the interpreter's resolver holds the operator ``code``."""
    path = folder / "probe.tflite"
    path.write_bytes(with_operator(model, code))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=False
    )
    return "Didn't find op" not in done.stdout + done.stderr


def main() -> None:
    """Probe every builtin operator of the schema."""
    model = Path(sys.argv[1]).read_bytes()
    operators = {name: code for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    with tempfile.TemporaryDirectory() as folder:
        found = [name for name, code in sorted(operators.items()) if is_known(model, code, Path(folder))]
    print(f'source = "tflite-micro {importlib.metadata.version("tflite-micro")}, by scripts/tflm_opset.py"')
    print("ops = [", *(f'    "{name}",' for name in found if name != "CUSTOM"), "]", sep="\n")


if __name__ == "__main__":
    main()
