"""A schema before it is read: its references followed, its allOf laid together, its null taken out. Pure."""

from dataclasses import dataclass
from typing import Any

from taxonomy.exchange.formats.found import LeftOut
from taxonomy.exchange.formats.names import clean
from taxonomy.exchange.formats.references import References, Unresolved
from taxonomy.exchange.formats.schema_out import Schema

_MAX_REFERENCES = 20


@dataclass(slots=True)
class Node:
    """A schema with its references and combinations taken in."""

    schema: Schema
    file: str
    where: str
    depth: int
    nullable: bool = False
    kind: str = ""


class NodeReader:
    """Finds the nodes of one set of documents; what cannot be taken goes to `left_out`."""

    def __init__(self, documents: list[tuple[str, Any]], left_out: list[LeftOut]) -> None:
        self._references = References(documents)
        self._left_out = left_out

    def tell(self, node: Node, what: object, why: str) -> None:
        self._left_out.append(LeftOut(node.where, clean(str(what), 80), why))

    def node(self, schema: Any, file: str, where: str, depth: int) -> Node | None:
        """Follow $ref, lay allOf together, take null out of anyOf and oneOf."""
        node = Node({}, file, where, depth)
        for _ in range(_MAX_REFERENCES):
            if schema is True:
                schema = {}
            if not isinstance(schema, dict):
                self.tell(node, "", "type.none" if schema is False else "schema.none")
                return None
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            try:
                node.file, target = self._references.find(reference, file=node.file)
            except Unresolved as error:
                self.tell(node, reference, error.code)
                return None
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            schema = {**target, **beside} if isinstance(target, dict) else target
        else:
            self.tell(node, reference, "ref.circle")
            return None
        node.schema = schema
        self._lay_together(node)
        self._without_null(node)
        return node

    def _lay_together(self, node: Node) -> None:
        parts = node.schema.get("allOf")
        if not isinstance(parts, list) or not all(isinstance(one, dict) and "$ref" not in one for one in parts):
            return
        known = dict(node.schema)
        patterns = [known["pattern"]] if "pattern" in known else []
        for part in parts:
            if any(name in known and known[name] != value for name, value in part.items() if name != "pattern"):
                return
            patterns += [part["pattern"]] if "pattern" in part else []
            known |= part
        del known["allOf"]
        node.schema = known | ({"pattern": patterns if len(patterns) > 1 else patterns[0]} if patterns else {})

    def _without_null(self, node: Node) -> None:
        """[X, null] is X that may be absent; null is absent to the standard."""
        for keyword in ("anyOf", "oneOf"):
            choices = node.schema.get(keyword)
            if (
                isinstance(choices, list)
                and len(choices) == 2
                and {"type": "null"} in choices
                and not isinstance(node.schema.get("type"), str)
            ):
                rest = next((one for one in choices if one != {"type": "null"}), None)
                inner = self.node(rest, node.file, node.where, node.depth)
                if inner is not None:
                    node.schema = {name: value for name, value in node.schema.items() if name != keyword} | inner.schema
                    node.nullable = True
        if node.schema.get("nullable") is True:
            node.nullable = True
