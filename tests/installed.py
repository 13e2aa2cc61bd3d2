"""Other people's clients and tools, each in an environment of its own under .tagline, installed once from the registries."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

HOME = ROOT / ".tagline" / "clients"


def python_with(*packages: str) -> Path:
    """A Python that has these packages, such as "segment-analytics-python==2.4.0"."""
    folder = _folder("python", packages)
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", "--without-pip", folder)
        _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check", *packages)
        (folder / "done").touch()
    return python


def node_with(*packages: str) -> Path:
    """A folder whose node_modules has these packages, such as "typescript@5.9.3"."""
    folder = _folder("node", packages)
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _run("npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", folder, *packages)
        (folder / "done").touch()
    return folder


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, two minutes at the most; what it printed, and how it ended."""
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "NO_PROXY": "localhost,127.0.0.1", **environment},
    )  # fmt: skip


def _folder(kind: str, packages: tuple[str, ...]) -> Path:
    return HOME / f"{kind}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
