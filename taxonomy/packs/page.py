"""docs/vendors.md, written from the packs: what arrives as what."""

from typing import Any

from taxonomy.packs import Pack, packs, row_of

HEAD = """# Vendors' packs

What each vendor's records become in the starter standard. Written by `manage.py packs --write` from `taxonomy/packs/*.toml`; a test
fails where this page says something else.

**Sources → Add from a vendor's pack** drafts a source with these rules; propose it, and it counts once it is released. Segment's
names can be added there to a source that there is already. Then
**Webhooks in → Add one of a vendor** makes its address, `/hooks/<source>`, and keeps its signing secret. The first rule that fits an
event counts. An event with a name that no rule knows is held as `event.unknown`, and listed under Discovered: switch off at the
vendor what you do not need, or add a rule.

A token, where a vendor does not sign: as `Authorization: Bearer <token>`, as the user or the password of Basic auth, at the end of
the address (`/hooks/<source>/<token>`), or as `?token=<token>`. An address may stand in the log of a proxy: prefer a header.

WeChat is set to plain mode; for its encrypted ones choose “WeChat, encrypted” when the webhook is added. What is posted as
`multipart/form-data`, such as whole inbound mails, is not taken.

Paths for vendors without a pack: [vendors-by-hand.md](vendors-by-hand.md).
"""


def page() -> str:
    return "\n".join([HEAD, *(_section(pack) for pack in sorted(packs().values(), key=lambda one: one.source["label_en"].lower()))])


def _section(pack: Pack) -> str:
    source, envelope = pack.source, pack.source["envelope"]
    lines = [f"## {source['label_en']}", "", source["description_en"], "", source["description_zh_hans"], ""]
    if pack.hook:
        told = [f"proves itself by `{pack.hook['scheme']}`"]
        told += [
            f"{said} `{pack.hook[key]}`"
            for key, said in (("kept_headers", "headers read:"), ("packed_in", "events packed in"))
            if key in pack.hook
        ]
        told += [f"answered with `{pack.hook['answer']}`"] if "answer" in pack.hook else []
        lines += [f"Webhook: {'; '.join(told)}.", ""]
    if envelope["preset"] != "custom":
        lines += [f"Records: as `{envelope['preset']}`.", ""]
    else:
        lines += ["| field | found at |", "|---|---|", *(f"| {field} | {in_code(path)} |" for field, path in fields_of(envelope)), ""]
    lines += ["| what arrives | becomes | with |", "|---|---|---|", *(_rule(rule) for rule in pack.rules), ""]
    return "\n".join(lines)


def fields_of(envelope: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for field, path in envelope.items():
        if field == "identifiers":
            found += list(path.items())
        elif field != "preset":
            found.append((field, path))
    return found


def _rule(rule: dict[str, Any]) -> str:
    name = in_code(rule["name"]) + (" (pattern)" if rule.get("match") == "pattern" else "")
    if condition := rule.get("condition"):
        name += (
            f" if {in_code(condition['path'])} {condition['operator']} {in_code(condition['value']) if condition['value'] else ''}".rstrip()
        )
    return f"| {name} | `{rule['tag']}` | {', '.join(_row(target, text) for target, text in rule.get('rows', {}).items()) or '–'} |"


def _row(target: str, text: str) -> str:
    row = row_of(target, text)
    return f"{target} ← {in_code(' → '.join(part for part in (row['path'], row['transforms']) if part))}"


def in_code(text: str) -> str:
    """In Markdown's code, within a table."""
    ticks = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}".replace("|", "\\|")
