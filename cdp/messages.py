"""Find the strings that need a translation: ours, and those of unfold, which ships none. Needs GNU gettext."""

import io
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import django
import unfold
from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as CatalogueMessage
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation.template import templatize

APPS = ("activation", "cdp", "ingestion", "insights", "profiles", "staff", "taxonomy")
STUB = settings.BASE_DIR / "cdp" / "unfold_strings.py"
KEYWORDS = (
    "gettext", "gettext_lazy", "gettext_noop", "_", "ngettext:1,2", "ngettext_lazy:1,2",
    "pgettext:1c,2", "pgettext_lazy:1c,2", "npgettext:1c,2,3", "npgettext_lazy:1c,2,3",
)  # fmt: skip

# (context or None, text, plural or None)
Message = tuple[str | None, str, str | None]


def our_files() -> list[Path]:
    """Every file of ours with strings: the apps' Python, tests excluded, and the templates."""
    python = [path for app in APPS for path in (settings.BASE_DIR / app).rglob("*.py") if "migrations" not in path.parts]
    return sorted([*python, *_templates(settings.BASE_DIR / "templates")])


def unfold_files() -> list[Path]:
    """Unfold's Python and templates, without the parts of it that are not installed here."""
    root = Path(unfold.__file__).parent
    installed = {app.removeprefix("unfold.contrib.") for app in settings.INSTALLED_APPS if app.startswith("unfold.contrib.")}
    absent = [path for path in (root / "contrib").iterdir() if path.is_dir() and path.name not in installed]
    files = [*root.rglob("*.py"), *_templates(root)]
    return sorted(path for path in files if not any(path.is_relative_to(folder) for folder in absent))


def _templates(root: Path) -> Iterator[Path]:
    for pattern in ("*.html", "*.txt"):
        yield from root.rglob(pattern)


def messages_in(files: Iterable[Path]) -> set[Message]:
    """What xgettext finds in these Python files and templates."""
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for number, path in enumerate(files):
            text = path.read_text()
            copy = Path(folder, f"{number}.py")
            copy.write_text(text if path.suffix == ".py" else templatize(text, origin=str(path)))
            sources.append(str(copy))
        keywords = [f"--keyword={keyword}" for keyword in KEYWORDS]
        command = [
            "xgettext",
            "--language=Python",
            "--from-code=UTF-8",
            "--output=-",
            "--no-location",
            "--keyword",
            *keywords,
            *sources,
        ]
        found = subprocess.run(command, check=True, capture_output=True)
        return set(_messages(found.stdout))


def _messages(po: bytes) -> Iterator[Message]:
    for message in read_po(io.BytesIO(_with_header(po))):
        if message.id:
            text, plural = message.id if isinstance(message.id, tuple | list) else (message.id, None)
            yield message.context, text, plural


def _with_header(po: bytes) -> bytes:
    """Fill in what xgettext leaves open in the header of a new file."""
    return po.replace(b"charset=CHARSET", b"charset=UTF-8").replace(b"nplurals=INTEGER; plural=EXPRESSION", b"nplurals=2; plural=(n != 1)")


def translated_by_django() -> set[tuple[str | None, str]]:
    """(context, text) of what Django's own catalogues say in Simplified Chinese."""
    known = set()
    for path in Path(django.__file__).parent.rglob("locale/zh_Hans/LC_MESSAGES/django.po"):
        for message in read_catalogue(path):
            if message.id and is_translated(message):
                known.add((message.context, message.id[0] if isinstance(message.id, tuple | list) else message.id))
    return known


def read_catalogue(path: Path) -> Catalog:
    with path.open("rb") as stored:
        return read_po(stored, locale="zh_Hans")


def is_translated(message: CatalogueMessage) -> bool:
    strings = [message.string] if isinstance(message.string, str) else list(message.string or [])
    return not message.fuzzy and bool(strings) and all(strings)


def unfold_stub() -> str:
    """The text of cdp/unfold_strings.py: unfold's strings that Django does not translate anyway."""
    known = translated_by_django()
    lines = [
        '"""Written by `make messages`: the strings of unfold, so that our catalogue has them. Do not edit."""',
        "# ruff: noqa",
        "# fmt: off",
        "",
        "from django.utils.translation import gettext_noop, ngettext_lazy, pgettext_lazy",
        "",
        "STRINGS = [",
    ]
    for context, text, plural in sorted(messages_in(unfold_files()), key=lambda one: (one[1], one[0] or "")):
        if (context, text) in known or text.endswith("_FORMAT"):
            continue
        if plural:
            lines.append(f"    ngettext_lazy({text!r}, {plural!r}),")
        elif context:
            lines.append(f"    pgettext_lazy({context!r}, {text!r}),")
        else:
            lines.append(f"    gettext_noop({text!r}),")
    return "\n".join([*lines, "]", ""])
