"""Try a record on the draft: what it would become, or why not. Nothing is stored."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.utils.translation import gettext as _

from taxonomy.definition import Items, draft_items
from taxonomy.diff import title
from taxonomy.problems import plan_problem
from taxonomy.publish import items_of, newest
from taxonomy.sound import sound_items
from taxonomy.standardize import Refusal, Violation, compile_plan, decode_body, read, standardize
from taxonomy.violations import message_for, title_for


@dataclass(frozen=True, slots=True)
class Tried:
    """One event of the record. `rule` is the name of the rule that read it; `standard` is JSON."""

    verdict: str
    tag: str
    rule: str
    standard: str
    changes: list[dict[str, Any]]
    reasons: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Tryout:
    """What a record becomes on the draft, or what is wrong with the draft itself."""

    events: list[Tried]
    problems: list[str]


def try_record(record: bytes, source_code: str, *, received_at: datetime, unsaved: Items | None = None) -> Tryout:
    """What a record becomes on the draft; with `unsaved`, definitions as a form has them, in place of what is saved."""
    draft = draft_items() | (unsaved or {})
    source_id = next((item for item, one in draft.items() if one["kind"] == "source" and one["code"] == source_code), None)
    if source_id is None:
        return Tryout([], [_("The source is not in the draft of the standard any more. Restore it from its history first.")])
    items, problems = sound_items(draft, items_of(newest()), keep={source_id, *(unsaved or {})})
    if problems:
        return Tryout([], [plan_problem(problem, items) for problem in problems])
    plan = compile_plan(items)
    source = plan.sources[source_code]
    tried = []
    for raw in read(decode_body(record), source, plan, received_at=received_at, original=record):
        if isinstance(raw, Refusal):
            refused = Violation(raw.code, raw.path, values=raw.values)
            tried.append(Tried("refused", "", "", "", [], [(title_for(raw.code), message_for(refused))]))
            continue
        result = standardize(raw, plan)
        standard = {
            "phone": result.phone,
            "identifiers": result.identifiers,
            "occurred_at": result.occurred_at,
            "attributes": result.attributes,
        }
        rule = title(items[result.rule], items) if result.rule else ""
        shown = json.dumps(msgspec.to_builtins(standard), ensure_ascii=False, indent=2)
        reasons = [(title_for(one.code), message_for(one)) for one in result.violations]
        tried.append(Tried(result.verdict, result.tag_code or "", rule, shown, msgspec.to_builtins(result.changes), reasons))
    return Tryout(tried, [])
