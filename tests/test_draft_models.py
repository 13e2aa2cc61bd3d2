"""Who may look at rows of the draft: what is live goes by the newest release, so that an edit changes nothing before it is released."""

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT

DRAFT = {"Attribute", "Category", "MappingRow", "MappingRule", "Refinement", "Source", "Tag", "TagAttribute", "TagMode"}
LIVE = ("profiles", "ingestion", "activation", "insights")
# Models refer to the rows by key; everything else that is named here says why it needs the draft itself.
MODELS = "models"
ALLOWED = {
    "ingestion/discovery/adopt.py": "what was discovered is put into the draft",
    "ingestion/admin/discovered.py": "what was discovered is put into the draft",
    "ingestion/discovery/discovered.py": "what was discovered counts as answered as soon as the draft knows it",
    "ingestion/discovery/matches.py": "offers what the draft has for a discovered name",
    "ingestion/admin/leaks.py": "leads to the draft's attribute, where it is declared personal",
    "ingestion/watching/leaks.py": "grants are kept by rows of the draft",
    "ingestion/admin/health.py": "grants are kept by rows of the draft",
    "ingestion/watching/health.py": "grants are kept by rows of the draft",
    "ingestion/quarantine/held.py": "grants are kept by rows of the draft",
    "ingestion/watching/latest.py": "grants are kept by rows of the draft",
    "ingestion/watching/latest_page.py": "grants are kept by rows of the draft",
    "profiles/readable.py": "grants are kept by rows of the draft",
    "ingestion/watching/digest.py": "grants are kept by rows of the draft",
    "ingestion/outgoing/announce.py": "what the draft calls personal is hidden at once: the stricter of both counts",
    "ingestion/admin/imports.py": "an import refers to its source by key",
    "ingestion/imports/run.py": "an import refers to its source by key",
    "ingestion/imports/check_file.py": "the matchings of a source are kept by its key",
    "ingestion/imports/repeated.py": "the matchings of a source are kept by its key",
    "ingestion/imports/report.py": "calls a setting of sources by its name",
    "ingestion/imports/matchings.py": "a matching refers to its source by key",
    "ingestion/imports/spec_page.py": "the matchings and links of a source are kept by its key",
    "ingestion/imports/uploads.py": "an upload refers to its source by key",
    "ingestion/doors/uploads.py": "an upload refers to its source by key",
    "ingestion/imports/watch.py": "an import refers to its source by key",
    "ingestion/trial_page.py": "sources are chosen by key",
    "ingestion/admin/past.py": "a reading of the past refers to its source and tag by key",
    "ingestion/management/commands/import_events.py": "an import refers to its source by key",
    "ingestion/admin/takeback.py": "a taking back refers to its source and tag by key",
    "ingestion/accepted/takeback.py": "a taking back refers to its source and tag by key",
    "ingestion/sending/page.py": "a key made there refers to its source",
    "ingestion/management/commands/create_key.py": "a key refers to its source",
    "ingestion/management/commands/create_source.py": "makes a source of the draft, and releases it",
}


# Where the draft itself is meant: whether what was discovered is in it, and what the rule that is made of it has to fill.
ASKED = {"ingestion/discovery/discovered.py": {"attribute__code"}, "ingestion/admin/discovered.py": {"attribute__code"}}


def modules() -> list[Path]:
    found = [path for app in LIVE for path in sorted((ROOT / app).rglob("*.py"))]
    return [path for path in found if not {MODELS, "migrations"} & set(path.relative_to(ROOT).parts)]


def drafts_in(path: Path) -> set[str]:
    """The models of the draft that a module imports, by whatever way."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("taxonomy.models"):
            found |= {name.name for name in node.names} & (DRAFT | {"*"})
        elif isinstance(node, ast.ImportFrom) and node.module == "taxonomy":
            found |= {name.name for name in node.names} & {"models"}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.startswith("taxonomy.models")}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get_model":
            found |= {one.value for one in node.args if isinstance(one, ast.Constant)} & DRAFT
    return found


def questions_in(path: Path) -> set[str]:
    """Where a module asks the database for what the draft says of the source or tag of a row."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {one[0] for one in re.finditer(r"(?i)\b(?:from|join)\s+taxonomy_(?!release|proposal|revision)\w+", node.value)}
        name = node.arg if isinstance(node, ast.keyword) else node.value if isinstance(node, ast.Constant) else None
        if isinstance(name, str) and re.fullmatch(
            r"(source|tag|attribute)__(code|label\w*|status|owner|category|personal|type|envelope)(__(?!isnull)\w+)?", name
        ):
            found.add(name)
    return found


def test_what_is_live_asks_the_database_for_nothing_that_the_draft_says():
    found = {str(path.relative_to(ROOT)): questions for path in modules() if (questions := questions_in(path))}
    assert found == ASKED


def test_what_is_live_reads_rows_of_the_draft_only_where_it_must():
    using = {str(path.relative_to(ROOT)) for path in modules() if drafts_in(path)}
    assert using - ALLOWED.keys() == set(), "read taxonomy.released instead, or say here why the draft is meant"
    assert ALLOWED.keys() - using == set(), "these need no leave any more"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from taxonomy.models import Release, Tag", {"Tag"}),
        ("from taxonomy.models.items import Attribute", {"Attribute"}),
        ("from taxonomy.models import *", {"*"}),
        ("import taxonomy.models", {"taxonomy.models"}),
        ("from taxonomy import models", {"models"}),
        ("apps.get_model('taxonomy', 'Source')", {"Source"}),
        ("from taxonomy.models import Release, Proposal", set()),
        ("from taxonomy.released import named", set()),
    ],
)
def test_no_import_escapes_it(tmp_path, text, found):
    (tmp_path / "one.py").write_text(text)
    assert drafts_in(tmp_path / "one.py") == found
