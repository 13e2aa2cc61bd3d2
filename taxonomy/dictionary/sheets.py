"""What the pages of the dictionary show: a sheet for each tag, attribute and source. No query."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from taxonomy.definition import Definition
from taxonomy.dictionary.examples import as_cloudevent, as_csv, as_curl, as_mqtt, as_track, as_webhook, examples_of
from taxonomy.dictionary.standard import Standard
from taxonomy.dictionary.words import (
    constraint_words,
    description,
    envelope_words,
    first_sentence,
    joined,
    label,
    personal_words,
    region_words,
    row_words,
    type_words,
)
from taxonomy.models import Source, Tag
from taxonomy.rule_words import limits_words
from taxonomy.standardize.names import parse_refinement

Departments = dict[str, str]


def named(item: str, one: Definition) -> dict[str, Any]:
    """What a link to an item needs."""
    return {"item": item, "kind": one["kind"], "code": one["code"], "label": label(one), "description": description(one)}


def tree(standard: Standard, parent: str | None = None) -> list[dict[str, Any]]:
    """The categories that have tags in or below them: [{named, "tags", "count", "below": every one below, from the top}]."""
    found = []
    for item in standard.categories_in[parent]:
        children = tree(standard, item)
        tags = [_in_list(tag, standard) for tag in standard.tags_in[item]]
        count = len(tags) + sum(child["count"] for child in children)
        if count:
            below = [one for child in children for one in (child, *child["below"])]
            found.append(named(item, standard.items[item]) | {"tags": tags, "count": count, "below": below})
    return found


def _in_list(tag: str, standard: Standard) -> dict[str, Any]:
    one = standard.items[tag]
    return {"code": one["code"], "label": label(one), "status": one["status"], "short": first_sentence(description(one))}


def tag_sheet(tag: str, standard: Standard, departments: Departments, *, with_examples: bool = True) -> dict[str, Any]:
    """Everything of a tag that stands in the release. Events to copy take the longest; paper needs none."""
    one, items = standard.items[tag], standard.items
    successor = one.get("successor")
    return {
        **named(tag, one),
        "status": one["status"],
        "status_label": Tag.Status(one["status"]).label,
        "successor": named(successor, items[successor]) if successor in items else None,
        "replaces": [named(other, items[other]) for other in standard.replaced_by[tag]],
        "path": [named("", category) for category in standard.path_to(one.get("category"))],
        "owner": departments.get(one.get("owner") or "", one.get("owner") or ""),
        "synonyms": one.get("synonyms") or [],
        "attributes": [_use(use, items[use["attribute"]]) for use in one.get("attributes") or []],
        "one_of": [group for group in one.get("one_of") or [] if group],
        "refinements": list(_refinements(tag, standard)),
        "examples": _examples(tag, standard) if with_examples else {},
        "rules": [_rule_to(rule, standard) for rule in standard.rules_to[tag]],
    }


def attribute_sheet(attribute: str, standard: Standard) -> dict[str, Any]:
    one = standard.items[attribute]
    used = [(standard.items[tag], next(use for use in standard.items[tag]["attributes"] if use["attribute"] == attribute)) for tag in standard.users_of[attribute]]  # fmt: skip
    return {
        **named(attribute, one),
        **_use({"attribute": attribute}, one),
        "tags": [
            {"code": tag["code"], "label": label(tag), "required": use["required"], "tighter": constraint_words({}, use.get("constraints"))}
            for tag, use in used
        ],
    }


def source_sheet(source: str, standard: Standard, departments: Departments) -> dict[str, Any]:
    """Its rules are told apart, a page at a time: `rule_sheets`."""
    one = standard.items[source]
    sentence, places = envelope_words(one)
    return {
        **named(source, one),
        "kind_label": Source.Kind(one["source_kind"]).label,
        "owner": departments.get(one.get("owner") or "", one.get("owner") or ""),
        "region": region_words(one.get("region") or ""),
        "timezone": one.get("timezone") or "",
        "currency": one.get("currency") or "",
        "holds_phones": one.get("hold_unreadable_phone", True),
        "envelope": sentence,
        "places": places,
        "rules": standard.rules_of[source],
    }


def rule_sheets(rules: list[str], standard: Standard) -> list[dict[str, Any]]:
    return [
        {
            "name": rule["name"],
            "is_pattern": rule.get("match") == "pattern",
            "limits": limits_words(rule),
            "tag": named(rule["tag"], standard.items[rule["tag"]]),
            "rows": [row_words(row) for row in rule.get("rows") or []],
            "keeps": rule.get("keep_unmapped", True),
            "note": rule.get("note") or "",
        }
        for rule in (standard.items[item] for item in rules)
    ]


def _use(use: Definition, attribute: Definition) -> dict[str, Any]:
    constraints = constraint_words(attribute, use.get("constraints"))
    unit = _("in %(unit)s") % {"unit": attribute["unit"]} if attribute.get("unit") else ""
    return {
        "code": attribute["code"],
        "label": label(attribute),
        "short": first_sentence(description(attribute)),
        "required": use.get("required", False),
        "what": joined([type_words(attribute), unit]),
        "constraints": constraints,
        "whole": joined([type_words(attribute), unit, constraints]),
        "example": attribute.get("example") or "",
        "personal": personal_words(attribute),
    }


def _refinements(tag: str, standard: Standard) -> Iterator[dict[str, str]]:
    plan = standard.plan.tags[tag]
    for refinement in plan.definition.get("refinements") or []:
        parsed = parse_refinement(plan.code, refinement["pattern"])
        if parsed is None:
            continue
        slot = plan.slots.get(parsed.attribute)
        example = (standard.items[slot.uuid].get("example") if slot else "") or "…"
        yield {"attribute": parsed.attribute, "form": parsed.name_for(f"<{parsed.attribute}>"), "example": parsed.name_for(example), "value": example}  # fmt: skip


def _examples(tag: str, standard: Standard) -> dict[str, Any]:
    """{"lacking", "no_row", "doors": [{"door", "title", "text", "note"}]}, a door for each way in by which the tag can be sent."""
    found = examples_of(tag, standard.items, currency=standard.currency)
    site = settings.SITE_URL
    signed = _(
        "SOURCE is the source's code, the secret that of its entry under “Webhooks in”; it sends our own JSON, or what its envelope reads."
    )
    topics = _(
        "BROKER is the company's, TOPIC one that stands under “MQTT topics”; its source sends our own JSON, or what its envelope reads."
    )
    doors = [
        ("curl", _("By HTTP"), as_curl(found.event, site) if found.event else "", ""),
        ("csv", _("As a row of a CSV file"), as_csv(found.row) if found.row else "", ""),
        ("track", _("By Segment's client"), as_track(found.track) if found.track else "", ""),
        ("cloudevents", _("As a CloudEvent"), as_cloudevent(found.cloudevent, site) if found.cloudevent else "", ""),
        ("webhook", _("By a signed webhook"), as_webhook(found.event, site) if found.event else "", signed),
        ("mqtt", _("By MQTT"), as_mqtt(found.event) if found.event else "", topics),
    ]
    return {
        "lacking": found.lacking,
        "no_row": bool(found.event and not found.row),
        "doors": [{"door": door, "title": told, "text": text, "note": note} for door, told, text, note in doors if text],
    }


def _rule_to(rule: str, standard: Standard) -> dict[str, Any]:
    one = standard.items[rule]
    source = standard.items[one["source"]]
    return {
        "source": named(one["source"], source),
        "name": one["name"],
        "is_pattern": one.get("match") == "pattern",
        "limits": limits_words(one),
        "rows": [row_words(row) for row in one.get("rows") or []],
    }
