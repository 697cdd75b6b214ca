"""What OpenSSH, and a device's shell, complain of; what it means; what to do."""

from __future__ import annotations

import re
from typing import NamedTuple

from edgearch.errors import DeviceError


class Complaint(NamedTuple):
    """One thing that goes wrong: a pattern in what was printed, and two sentences without their stop.

    ``{address}``, ``{login}`` (the command that logs in by hand) and ``{folder}`` are filled in.
    """

    pattern: str
    means: str
    remedy: str


# The first that matches is meant, so the particular stands before the general.
LOGIN = (
    Complaint(
        r"Could not resolve hostname",
        "the name does not resolve",
        "Check its spelling, or give the IP address; an alias must stand in your ssh config",
    ),
    Complaint(
        r"Connection refused",
        "the machine is there and nothing answers on that port",
        "Start its ssh server (on Raspberry Pi OS: sudo systemctl enable --now ssh), or give the right port",
    ),
    Complaint(
        r"timed out|No route to host|Network is unreachable|Host is down",
        "the machine cannot be reached",
        "Check that it is switched on, in this network and at this address: {login}",
    ),
    Complaint(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one known for this address",
        "If the device was installed anew or the address now belongs to another one, remove the old key "
        "(ssh-keygen -R, with the name or address above) and accept the new one with {login}; if not, "
        "somebody may be answering in its place: do not connect",
    ),
    Complaint(
        r"Host key verification failed|requested strict checking|REVOKED",
        "its host key is not known here, so it cannot be told from another machine",
        "Connect once by hand with {login}, compare the fingerprint and accept the key",
    ),
    Complaint(
        r"Permission denied \(|Too many authentication failures",
        "it does not accept your key",
        "Put your key there once with ssh-copy-id {address}; a key with a passphrase must be in ssh-agent "
        "(ssh-add), because nothing here can ask for it",
    ),
    Complaint(
        r"Bad configuration option|bad configuration options|Can't open user config file",
        "ssh cannot use its configuration",
        "Correct the file that it names",
    ),
    Complaint(
        r"Unable to negotiate",
        "ssh and the device share no algorithm",
        "Bring the older of the two up to date, or allow the algorithm for this host in your ssh config",
    ),
    Complaint(
        r"Connection closed|Connection reset|closed by remote host|kex_exchange_identification",
        "something answers there and hangs up before the login",
        "See that an ssh server listens on this port, and what its log says (journalctl -u ssh)",
    ),
)
SESSION = (
    Complaint(
        r"Session open refused|session request failed",
        "it refuses a session over an open connection",
        "Raise MaxSessions in its sshd_config to 2 or more",
    ),
    Complaint(
        r"Received message too long",
        "its login shell prints text that sftp cannot read",
        "Let ~/.bashrc or the like there print nothing when the shell is not interactive",
    ),
    Complaint(
        r"needs Python",
        "its Python is too old",
        "Install a newer system image there; Raspberry Pi OS has Python 3.9 since Bullseye",
    ),
    Complaint(
        r"local .*No space left",
        "it was read, and this machine's disk is full",
        "Free some space here",
    ),
    Complaint(
        r"No space left on device|(?:write|close) remote .*Failure",
        "it could not write the file: most often the disk is full",
        "See with df -h {folder} there, and free some space or name another folder in its config entry",
    ),
    Complaint(
        r"(?:Permission|FileNotFound|FileExists|NotADirectory)Error|Read-only|"
        r"(?:dest|remote) open .*(?:Permission denied|Failure)",
        "the folder {folder} cannot be made or written there",
        "Name another folder in its config entry",
    ),
)
# Of these nobody complains: an exit status and a connection that still stands tell them.
KILLED = Complaint(
    "",
    "the agent was killed there while the connection stands, most often because memory ran out",
    "See what dmesg says there, end other programs, and run the same command again",
)
NO_SFTP = Complaint(
    "",
    "its ssh server ended sftp and keeps the connection, so it seems to offer no sftp",
    "Install it there (on Debian: sudo apt install openssh-sftp-server)",
)
UNKNOWN = Complaint("", "ssh could not do it", "Try by hand: {login}")


def last_line(text: str) -> str:
    """Return the last line of ``text`` that says something, without its stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"


def find(text: str, known: tuple[Complaint, ...]) -> Complaint | None:
    """Return which of the ``known`` complaints ``text`` is, if any."""
    return next((one for one in known if re.search(one.pattern, text)), None)


def explain(complaint: Complaint, text: str, place: dict[str, str]) -> DeviceError:
    """Return an error of one paragraph that keeps OpenSSH's own last line."""
    means, remedy = complaint.means.format(**place), complaint.remedy.format(**place)
    return DeviceError(f"{place['address']}: {means} ({last_line(text)}). {remedy}.")
