"""$ref within the files that were given, and never beyond them. Pure."""

import re
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any
from urllib.parse import unquote

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


class Unresolved(Exception):
    """`code`: ref.remote for what is not among the files, ref.missing for what its file does not hold."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class References:
    """Finds schemas by path, by $id and by JSON pointer."""

    def __init__(self, documents: list[tuple[str, Any]]) -> None:
        self._by_name: dict[str, tuple[str, Any]] = {}
        for path, document in documents:
            self._by_name.setdefault(normpath(path), (path, document))
            for name in ("$id", "id"):
                given = document.get(name) if isinstance(document, dict) else None
                if isinstance(given, str):
                    self._by_name.setdefault(given.rstrip("#"), (path, document))

    def find(self, reference: str, *, file: str) -> tuple[str, Any]:
        """(file, schema) of what a file refers to. Raises Unresolved."""
        base, _, pointer = reference.partition("#")
        path, document = self._document(base, file)
        if not pointer:
            return path, document
        if not pointer.startswith("/"):
            return path, _anchored(document, pointer)
        for part in pointer[1:].split("/"):
            document = _step(document, unquote(part).replace("~1", "/").replace("~0", "~"))
        return path, document

    def _document(self, base: str, file: str) -> tuple[str, Any]:
        names = [base, normpath(str(PurePosixPath(file).parent / base))] if base else [normpath(file)]
        for name in names:
            if name in self._by_name:
                return self._by_name[name]
        if not _SCHEME.match(base) and not base.startswith("/"):
            # Schemas that name each other by the last part of their $id.
            for name, found in self._by_name.items():
                if name.rsplit("/", 1)[-1] == base.removeprefix("./"):
                    return found
        raise Unresolved("ref.remote")


def _step(document: Any, part: str) -> Any:
    if isinstance(document, dict) and part in document:
        return document[part]
    if isinstance(document, list) and part.isdecimal() and len(part) < 6 and int(part) < len(document):
        return document[int(part)]
    raise Unresolved("ref.missing")


def _anchored(document: Any, anchor: str) -> Any:
    """What says $anchor, or the $id of a draft before 2019, with this name."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("$anchor") == anchor or one.get("$id") == f"#{anchor}" or one.get("id") == f"#{anchor}":
                return one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    raise Unresolved("ref.missing")
