"""The wheel: built from this checkout, installed into a clean environment, and used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import inspector

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "OSI_", "SSLKEYLOG"))}
    return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--quiet")
    built = run(*pip, "--wheel-dir", str(folder), str(ROOT), cwd=folder)
    if built.returncode and "hatchling" in built.stderr and "No matching distribution" in built.stderr:
        pytest.skip("hatchling cannot be had here: no network")
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("osi_inspect-*.whl")
    return found


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command. The libraries are those of this environment: what is tested is our own package."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    lib = next(folder.glob("lib/python*/site-packages"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--quiet")
    done = run(*pip, "--prefix", str(folder), "--ignore-installed", str(wheel), cwd=folder)
    assert done.returncode == 0, done.stderr
    others = [path for path in sys.path if path.endswith("site-packages")]
    (lib / "libraries.pth").write_text("\n".join(others), encoding="utf-8")
    return folder / "bin" / "osi-inspect"


def test_what_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (ROOT / "captures").iterdir():
        assert f"inspector/captures/{path.name}" in names
    for path in (ROOT / "inspector").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert str(path.relative_to(ROOT)) in names
    assert not [name for name in names if name.startswith(("tests/", "scripts/"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_command_works_from_another_folder(command: Path, tmp_path: Path) -> None:
    python = str(command.with_name("python"))
    where = run(python, "-c", "import inspector; print(inspector.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(command.parent.parent)), where
    version = run(python, str(command), "--version", cwd=tmp_path)
    assert version.stdout == f"osi-inspect {inspector.__version__}\n" and not version.stderr
    listed = run(python, str(command), "captures", cwd=tmp_path)
    assert listed.returncode == 0 and {"sse", "websocket-chat"} <= {line.split(" ")[0] for line in listed.stdout.splitlines()}
    shown = run(python, str(command), "show", "sse", "-n", "18", cwd=tmp_path)
    assert shown.returncode == 0 and "event 1  order: " in shown.stdout, shown.stderr
