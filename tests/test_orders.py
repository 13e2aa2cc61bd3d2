"""What is equal stands in one order, whatever order it was counted, stored or answered in."""

import pytest

from ingestion.imports.run import outcome
from ingestion.models import ImportChunk, ImportRun
from ingestion.quarantine.replay import Preview
from ingestion.ranked import most_first
from taxonomy.models import Source

db = pytest.mark.django_db


@pytest.mark.parametrize(
    ("counts", "ordered"),
    [
        ({}, []),
        ({"b": 1, "c": 2, "a": 1}, [("c", 2), ("a", 1), ("b", 1)]),
        ({("x", None): 1, ("x", "b"): 1, ("x", "a"): 1}, [(("x", "a"), 1), (("x", "b"), 1), (("x", None), 1)]),
    ],
)
def test_most_first_then_by_how_it_is_written(counts, ordered):
    assert most_first(counts) == ordered


@db
def test_causes_of_an_import_stand_alike_whichever_block_ends_first(standard):
    source = Source.objects.get(code="till")
    found = []
    for blocks in (["b", "a"], ["a", "b"]):
        run = ImportRun.objects.create(source=source, file_name="a.csv")
        for index, code in enumerate(blocks):
            ImportChunk.objects.create(run=run, index=index, rows=1, first_row=index + 1, causes={code: 1}, notes={code: 1})
        found.append((outcome(run).causes, outcome(run).notes))
    assert found == [([("a", 1), ("b", 1)],) * 2] * 2


def test_reasons_of_what_stays_held_stand_alike():
    found = Preview(2)
    found.causes.update([("b", "x"), ("a", "y"), ("a", "x")])
    assert found.reasons == [("a", "x", 1), ("a", "y", 1), ("b", "x", 1)]
