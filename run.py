#!/usr/bin/env python3
"""Set cycler-ctl up on a fresh machine and run it: demo, test, check, docs, bench. Standard library only."""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
USAGE = """usage: python run.py COMMAND [arguments]

  demo    run the five experiments of Fig. S3 on simulated hardware, with a broker and a live page
  test    run the whole test suite; arguments go on to pytest
  check   lint, types, import contracts, and the manual's links
  docs    build the manual into .venv/manual
  bench   benchmarks (ratios, never gates)
"""
MANUAL = ("python", "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(VENV / "manual"))
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("mypy", "--exclude", "peer_programs", "benchmarks"),  # apart: the tests name tests/support otherwise
    ("pyright", "--pythonplatform", "Linux"),
    ("pyright", "--pythonplatform", "Windows"),
    ("lint-imports",),
    MANUAL,
)


# Most tests wait for processes and sockets, so six at a time fit on two cores; a file stays with one worker.
PARALLEL = ("-n", "6", "--dist", "loadfile")


def picky(arguments: list[str]) -> bool:
    """Whoever names files, or how to run them, is not second-guessed."""
    return any(one in {"-n", "--pdb", "-s"} or (ROOT / one.split("::")[0]).exists() for one in arguments)


def say(text: str) -> None:
    print(f"run.py: {text}", file=sys.stderr, flush=True)


def stamp_of(extras: str) -> str:
    """Changes when what is to be installed, or the interpreter, changes."""
    facts = (ROOT / "pyproject.toml").read_bytes() + sys.version.encode() + str(ROOT).encode() + extras.encode()
    return hashlib.sha256(facts).hexdigest()


def set_up(extras: str) -> None:
    """Make .venv and install the project with these extras, once."""
    stamp = VENV / f"installed-{extras.replace(',', '-')}"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == stamp_of(extras):
        return
    if not PYTHON.exists():
        say(f"making {VENV}")
        venv.create(VENV, with_pip=True)
    say(f"installing cycler-ctl[{extras}] into {VENV} (once; about half a minute)")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-e", f"{ROOT}[{extras}]"], check=True)
    stamp.write_text(stamp_of(extras))


def call(*command: str) -> int:
    """Run a program of the environment in the foreground; Ctrl-C reaches it, and we wait for it to end by itself."""
    child = subprocess.Popen([str(BIN / command[0]) if command[0] != "python" else str(PYTHON), *command[1:]], cwd=ROOT)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def check() -> int:
    failed = [" ".join(command) for command in CHECKS if call(*command) != 0]
    for command in failed:
        say(f"failed: {command}")
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - a newcomer may start it with any python
        say(f"needs Python 3.11 or newer; this is {sys.version.split()[0]}")
        return 2
    if not arguments or arguments[0] not in {"demo", "test", "check", "docs", "bench"}:
        print(USAGE)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    command, rest = arguments[0], arguments[1:]
    extras = os.environ.get("CYCLER_CTL_EXTRAS") or ("broker,fast,plot,web" if command == "demo" else "dev")
    try:
        set_up(extras)
    except (subprocess.CalledProcessError, OSError) as error:
        say(f"the set-up failed: {error}\nDelete {VENV} and try again; a Debian python needs: apt install python3-venv")
        return 1
    if command == "demo":
        return call("cycler-ctl", "demo", *rest)
    if command == "test":
        return call("python", "-m", "pytest", *(() if picky(rest) else PARALLEL), *rest)
    if command == "check":
        return check()
    if command == "docs":
        return call(*MANUAL)
    return call("python", "-m", "benchmarks", *rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
