"""Other people's clients and tools, each in an environment of its own under .tagline, installed once from the registries."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import ROOT

HOME = ROOT / ".tagline" / "clients"
_QUIET = ("--silent", "--no-fund", "--no-audit", "--ignore-scripts")


def python_with(*packages: str) -> Path:
    """A Python that has these packages, such as "segment-analytics-python==2.4.0"."""
    return _python(" ".join(packages), *packages)


def python_locked(lock: Path) -> Path:
    """A Python that has what a requirements file lists, with its hashes, and nothing else."""
    return _python(lock.read_text(encoding="utf-8"), "--require-hashes", "--no-deps", "--requirement", lock)


def node_with(*packages: str) -> Path:
    """A folder whose node_modules has these packages, such as "typescript@5.9.3"."""
    with _once(_folder("node", " ".join(packages))) as (folder, is_missing):
        if is_missing:
            folder.mkdir()
            _run("npm", "install", *_QUIET, "--prefix", folder, *packages)
    return folder


def node_locked(project: Path) -> Path:
    """A folder whose node_modules has what the package-lock.json of a project lists, with its hashes.

    Such a lock names no registry: npm install --package-lock-only --omit-lockfile-registry-resolved.
    """
    lock = project / "package-lock.json"
    with _once(_folder("node", lock.read_text(encoding="utf-8"))) as (folder, is_missing):
        if is_missing:
            folder.mkdir()
            for file in (project / "package.json", lock):
                shutil.copy(file, folder)
            _run("npm", "ci", *_QUIET, "--prefix", folder)
    return folder


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, two minutes at the most; what it printed, and how it ended."""
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "NO_PROXY": "localhost,127.0.0.1", **environment},
    )  # fmt: skip


def _python(content: str, *install: str | Path) -> Path:
    with _once(_folder("python", content)) as (folder, is_missing):
        python = folder / "bin" / "python"
        if is_missing:
            _run(sys.executable, "-m", "venv", "--without-pip", folder)
            _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check", *install)
    return python


@contextmanager
def _once(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The folder, and whether what belongs there is still to be put there; others that want it too wait meanwhile."""
    HOME.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_missing = not (folder / "done").exists()
        if is_missing:
            shutil.rmtree(folder, ignore_errors=True)
        yield folder, is_missing
        (folder / "done").touch()


def _folder(kind: str, content: str) -> Path:
    return HOME / f"{kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
