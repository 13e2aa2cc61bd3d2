"""Real files that others wrote are told apart as they are, without anything said of them."""

import pytest
from conftest import SHARED

from ingestion.doors.files import blocks, check_columns, records, sniff

pytestmark = pytest.mark.needs("shared-data")

# Its reviews have line ends and no quotation marks: no delimiter makes rows of it.
NO_TABLE = {"ProductReview.csv"}
FILES = sorted(
    str(path.relative_to(SHARED))
    for path in SHARED.glob("a*/**/*.csv*")
    if path.suffix in (".csv", ".zst") and path.name not in NO_TABLE
)  # fmt: skip
HEADERLESS = ("a13-", "a15-")
DELIMITERS = {"a12-": ";", "a13-": "|\t"}


@pytest.mark.parametrize("name", FILES)
def test_a_table_of_the_shared_data_is_told_as_it_is(name):
    found = sniff(SHARED / name)
    assert (found.kind, found.encoding, found.above) == ("csv", "utf-8", 0)
    assert found.delimiter in DELIMITERS.get(name[:4], ",")
    assert len(found.heading) == (0 if name[:4] in HEADERLESS else 1)
    check_columns(found)
    first = next(blocks(SHARED / name, found))
    assert [record.row for record in records(first, found) if record.refusal] == []
