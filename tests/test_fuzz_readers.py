"""Coverage-led fuzzing of what reads records: no record breaks it, reads differently a second time, or takes long."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT
from mangle import SEED

INPUT_BYTES = 4_096
SLOWEST_SECONDS = 10


@pytest.mark.needs("atheris")
@pytest.mark.parametrize("runs", [2_000, pytest.param(5_000_000, marks=pytest.mark.proof)])
def test_no_record_breaks_an_envelope_reader(tmp_path, runs, record_property):
    options = [f"-runs={runs}", f"-seed={SEED}", f"-max_len={INPUT_BYTES}", f"-timeout={SLOWEST_SECONDS}", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        [sys.executable, "tests/fuzz_readers.py", str(tmp_path / "records"), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {path.name: path.read_bytes() for path in tmp_path.glob("*-*")}
    assert done.returncode == 0 and not found, f"{found}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    [(made, covered)] = re.findall(r"#(\d+)\s+DONE\s+cov: (\d+)", done.stderr)
    assert int(made) >= runs
    record_property(
        "figure", f"{int(made):,} records by atheris through every envelope and rule; {int(covered):,} branches of the core reached"
    )
