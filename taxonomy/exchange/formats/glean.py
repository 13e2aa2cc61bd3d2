"""Mozilla Glean: metrics of type event, with their extra keys. Read only. Pure."""

from typing import Any

from taxonomy.exchange.formats.documents import Files
from taxonomy.exchange.formats.found import Definition, Found, FoundAttribute, FoundTag, parsed
from taxonomy.exchange.formats.names import clean, code_of

_TYPES = {"string": "text", "boolean": "boolean", "quantity": "integer"}
_SENSITIVE = {"highly_sensitive", "category4"}
# Data that nobody needs to guard: how the software works, and what is done with it.
_HARMLESS = {"technical", "category1", "interaction", "category2"}
_READ = {"type", "description", "extra_keys", "data_sensitivity"}


def read(files: Files) -> Found:
    found = Found()
    for path, document in parsed(files, found):
        schema = str(document.get("$schema", "")) if isinstance(document, dict) else ""
        if "/glean/metrics/" not in schema:
            found.miss(path, "", "file.no_plan")
            continue
        for category, metrics in document.items():
            if isinstance(metrics, dict) and not category.startswith("$"):
                for name, metric in metrics.items():
                    _read_metric(str(category), str(name), metric, found)
            elif not category.startswith("$"):
                found.miss(path, clean(str(category), 80), "keyword")
    return found


def _read_metric(category: str, name: str, metric: Any, found: Found) -> None:
    where = f"tag:{clean(f'{category}.{name}', 80)}"
    kind = metric.get("type") if isinstance(metric, dict) else None
    if kind != "event":
        found.miss(where, clean(str(kind), 80), "event.other")
        return
    found.categories.setdefault(category, category.replace("_", " ").replace(".", " ").capitalize())
    tag = FoundTag(f"{category}.{name}", code=code_of(f"{category}_{name}"), fields={"category": category})
    if text := clean(" ".join(str(metric.get("description", "")).split())):
        tag.fields["description_en"] = text
    for field in sorted(metric.keys() - _READ):
        if (field, metric[field]) != ("expires", "never"):
            found.miss(where, clean(str(field), 80), "keyword")
    classes = {str(one) for one in metric["data_sensitivity"]} if isinstance(metric.get("data_sensitivity"), list) else set()
    if classes - _HARMLESS - _SENSITIVE:
        found.miss(where, "data_sensitivity", "keyword")
    keys = metric.get("extra_keys")
    for key, about in (keys if isinstance(keys, dict) else {}).items():
        attribute = _attribute(str(key), about, f"attribute:{clean(f'{category}.{name}', 80)}.{clean(str(key), 80)}", found)
        if attribute is not None:
            attribute.definition |= {"personal": "sensitive"} if classes & _SENSITIVE else {}
            tag.attributes.append(attribute)
    found.tags.append(tag)


def _attribute(key: str, about: Any, where: str, found: Found) -> FoundAttribute | None:
    kind = about.get("type", "string") if isinstance(about, dict) else None
    if not isinstance(kind, str) or kind not in _TYPES:
        found.miss(where, clean(str(kind), 80), "type.unknown")
        return None
    for field in sorted(about.keys() - {"type", "description"}):
        found.miss(where, clean(str(field), 80), "keyword")
    definition: Definition = {"type": _TYPES[kind], "of": None, "fields": {}, "constraints": {}}
    return FoundAttribute(key, definition | ({"description_en": text} if (text := clean(about.get("description"))) else {}))
