"""A Raspberry Pi without the hardware: Debian arm64 in QEMU, reached over ssh as any Pi is.

    sudo python scripts/virtual_pi.py up      build it once (minutes), start it, say how to deploy to it
    sudo python scripts/virtual_pi.py down    end it

Debian's packages and Arm kernels are real, the processor is emulated (user mode, one of QEMU's Cortex
models), so outputs count and the speed does not. It lives outside the repository, in the user's cache. All
that runs in it runs in a namespace of its own: when its first process ends, so do its mounts and every
process in it. Its sshd listens on loopback only.

Needs root (mounts, chroot), and Debian's mmdebstrap, arch-test, qemu-user-static and openssh-client.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import platformdirs

PACKAGES = "python3,python3-venv,openssh-server,ca-certificates"
TOOLS = {"mmdebstrap": "mmdebstrap", "arch-test": "arch-test", "qemu-aarch64-static": "qemu-user-static",
         "ssh-keygen": "openssh-client", "unshare": "util-linux"}  # fmt: skip
# Without a named processor QEMU's "max" computes int8 wrongly with some runtimes.
PROCESSORS = {"pi4": "cortex-a72", "pi5": "cortex-a76"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
PATIENCE_SECONDS = 60


class VirtualPiError(Exception):
    """Something is missing or failed; the text says what and what to do."""


def main(arguments: list[str]) -> int:
    """Do the verb."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=("up", "down"))
    parser.add_argument("--processor", choices=PROCESSORS, default="pi4")
    parser.add_argument("--port", type=int, default=2222)
    parser.add_argument(
        "--folder", type=Path, default=platformdirs.user_cache_path("edgearch") / "virtual-pi"
    )
    options = parser.parse_args(arguments)
    try:
        if options.verb == "down":
            down(options.folder)
        else:
            up(options.folder, options.port, PROCESSORS[options.processor])
    except VirtualPiError as error:
        print(f"virtual-pi: {error}", file=sys.stderr)
        return 2
    return 0


def up(folder: Path, port: int, processor: str) -> None:
    """Build the system if there is none, start it, and print how to reach it."""
    _require()
    root = folder / "root"
    if not root.exists():
        build(folder)
    down(folder)
    start(folder, port, processor)
    config = _write_config(folder, port)
    print(f"A {processor} is up on 127.0.0.1:{port}. Deploy to it, from the project's folder:\n")
    print(f"    XDG_CONFIG_HOME={config} make deploy MODEL=cnn DEVICE=rpi HOST=virtual-pi\n")


def build(folder: Path) -> None:
    """Make a Debian arm64 system in ``folder``: whole or not at all."""
    print("Building Debian for arm64: about five minutes, 400 MB, once.", flush=True)
    part = folder / "part"
    shutil.rmtree(part, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _register_qemu()
    what = ["--architectures=arm64", "--variant=minbase", f"--include={PACKAGES}"]
    _run(["mmdebstrap", *what, _release(), str(part)])
    _run(["chroot", str(part), "useradd", "--create-home", "--shell", "/bin/bash", "pi"])
    part.rename(folder / "root")


def start(folder: Path, port: int, processor: str) -> None:
    """Start sshd in a namespace of its own and wait until it answers."""
    root, key = folder / "root", folder / "key"
    _register_qemu()
    if not key.exists():
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "virtual-pi", "-f", str(key)])
    ssh = root / "home/pi/.ssh"
    ssh.mkdir(exist_ok=True)
    (ssh / "authorized_keys").write_text(Path(f"{key}.pub").read_text(encoding="utf-8"), encoding="utf-8")
    _run(["chroot", str(root), "chown", "-R", "pi:pi", "/home/pi/.ssh"])
    shared = _as_here(root)
    sshd = (
        f"/usr/sbin/sshd -D -e -p {port} -o ListenAddress=127.0.0.1 -o PasswordAuthentication=no "
        f"-o PermitRootLogin=no -o AllowUsers=pi -o UseDNS=no -o PidFile=none -o SetEnv=QEMU_CPU={processor}"
    )
    inside = "\n".join(
        [
            "set -e",
            'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --rbind /sys "$1/sys"',
            *(f'mkdir -p "$1{path}"; mount --bind -o ro {path} "$1{path}"' for path in shared),
            'mkdir -p "$1/run/sshd"',
            f'exec chroot "$1" {sshd}',
        ]
    )
    with (folder / "sshd.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside, "sh", str(root)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "QEMU_CPU": processor},
        )  # fmt: skip
    (folder / "pid").write_text(str(process.pid), encoding="utf-8")
    _wait(process, port, folder / "sshd.log")


def down(folder: Path) -> None:
    """End the system that is running, if one is: its namespace takes every process with it."""
    file = folder / "pid"
    if not file.exists():
        return
    pid = int(file.read_text(encoding="utf-8"))
    if _is_ours(pid):
        first = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        os.kill(pid, signal.SIGKILL)
        # The namespace's first process is gone only when all in it are, a moment after its parent.
        while any(_command(one) for one in [pid, *first]):
            time.sleep(0.1)
    file.unlink()


def _is_ours(pid: int) -> bool:
    return b"unshare\0--mount" in _command(pid)


def _command(pid: int | str) -> bytes:
    """Return a process's command line: nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _require() -> None:
    if os.geteuid():
        raise VirtualPiError("mounting and chroot need root: sudo make virtual-pi.")
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise VirtualPiError(f"needs {', '.join(missing)}: sudo apt install {' '.join(missing)}")


def _register_qemu() -> None:
    """Let the kernel run arm64 programs with QEMU, in any chroot (the flag F of Debian's own entry)."""
    if not (BINFMT / "register").exists():
        _run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)])
    if not (BINFMT / "qemu-aarch64").exists():
        entry = Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_text(encoding="utf-8")
        (BINFMT / "register").write_text(entry.strip(), encoding="utf-8")


def _release() -> str:
    found = re.search(
        r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE
    )
    if found is None:
        raise VirtualPiError("/etc/os-release names no Debian release; mmdebstrap needs one.")
    return found.group(1)


def _as_here(root: Path) -> list[str]:
    """Give the system this machine's name service, certificates and pip settings.

    Returns:
        The folders that pip reads here, if any, so that it can read them there too.
    """
    for name in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
        if Path(name).exists():
            shutil.copyfile(name, f"{root}{name}")
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    wanted = dict(
        re.findall(r"^(?:global|:env:)\.(index-url|extra-index-url|find-links)='(.*)'$", listed, re.MULTILINE)
    )
    lines = ["[global]", *(f"{name} = " + value.replace("\\n", "\n  ") for name, value in wanted.items())]
    (root / "etc/pip.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    places = [Path(place) for place in re.findall(r"(?:file://)?(/[^\s'\\]+)", "\n".join(wanted.values()))]
    # An index's pages link to files beside its folder of pages.
    folders = {str(place.parent if place.name == "simple" else place) for place in places if place.is_dir()}
    return sorted(folder for folder in folders if re.fullmatch(r"[\w./-]+", folder))


def _write_config(folder: Path, port: int) -> Path:
    """Write an edgearch config with the host ``virtual-pi``, and the ssh config that reaches it."""
    ssh, config = folder / "ssh_config", folder / "config"
    ssh.write_text(
        f"Host 127.0.0.1\n  IdentityFile {folder / 'key'}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder / 'known_hosts'}\n  StrictHostKeyChecking accept-new\n",
        encoding="utf-8",
    )
    (config / "edgearch").mkdir(parents=True, exist_ok=True)
    (config / "edgearch/config.toml").write_text(
        f'[hosts.virtual-pi]\naddress = "pi@127.0.0.1"\nport = {port}\ntransport = "ssh"\n'
        f'where = "emulated"\nssh_config = "{ssh}"\n',
        encoding="utf-8",
    )
    return config


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as one:
            one.settimeout(2)
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    process.kill()
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no word"]
    raise VirtualPiError(f"its sshd did not start on port {port}: {lines[-1]} (see {log})")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise VirtualPiError(f"{command[0]} failed: {lines[-1]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
