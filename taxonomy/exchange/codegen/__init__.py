"""Typed code from a release: one documented function per tag, calling the Segment client of a language.

A new language is a module with `write(calls, version) -> {path: text}` and a row here.
"""

from taxonomy.exchange.codegen import python, typescript
from taxonomy.exchange.codegen.calls import calls_of
from taxonomy.standardize.plan import Items

LANGUAGES = {"python": python.write, "typescript": typescript.write}


def generate(language: str, items: Items, version: str) -> dict[str, str]:
    """The files of a release's typed code: {path: text}, the same bytes for the same release. Raises KeyError for no language."""
    return LANGUAGES[language](calls_of(items), version)
