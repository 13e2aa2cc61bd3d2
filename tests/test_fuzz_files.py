"""Coverage-led fuzzing of what reads files: none breaks it, is read otherwise in other blocks or again, takes long or fills the memory."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT
from mangle import SEED

FILE_BYTES = 8_192
SLOWEST_SECONDS = 10
MOST_MEGABYTES = 500


@pytest.mark.needs("atheris")
@pytest.mark.parametrize("runs", [1_000, pytest.param(80_000, marks=pytest.mark.proof)])
def test_no_file_breaks_the_file_door(tmp_path, runs, record_property):
    options = [f"-runs={runs}", f"-seed={SEED}", f"-max_len={FILE_BYTES}", f"-timeout={SLOWEST_SECONDS}", f"-rss_limit_mb={MOST_MEGABYTES}"]
    # By a shell between: what a program is told of its peak memory begins with that of the process it was made by.
    between = ["sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*between, sys.executable, "tests/fuzz_files.py", str(tmp_path / "files"), *options, f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {path.name: path.read_bytes() for path in tmp_path.glob("*-*")}
    assert done.returncode == 0 and not found, f"{found}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    [(made, covered, megabytes)] = re.findall(r"#(\d+)\s+DONE\s+cov: (\d+).* rss: (\d+)Mb", done.stderr)
    assert int(made) >= runs
    record_property(
        "figure",
        f"{int(made):,} files by atheris, each in small blocks and in large; {int(covered):,} branches of the file door reached; {megabytes} MB at most",
    )
