"""An upload between its report and the proposal: a file of its owner's, for a day."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import zstandard
from django.conf import settings

from taxonomy.exchange.book import SheetRead
from taxonomy.exchange.cells import Odd

EXPIRES_SECONDS = 24 * 3600
# Of one person; the oldest gives way.
MOST = 20


@dataclass(slots=True)
class Pending:
    """What somebody uploaded. `everything`: they say it is the whole plan, so that what is missing is to go."""

    id: UUID
    by: int
    name: str
    everything: bool
    sheets: list[SheetRead]


def keep(sheets: list[SheetRead], *, name: str, by: int, everything: bool) -> UUID:
    """Store an upload; those that expired, and the oldest of too many, go."""
    folder = _folder(by)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _clean(folder.parent)
    for old in sorted(folder.glob("*.zst"), key=lambda path: path.stat().st_mtime)[: -MOST + 1 or None]:
        old.unlink(missing_ok=True)
    made = uuid4()
    rows: list[Any] = [[sheet.title, sheet.header, sheet.rows] for sheet in sheets]
    written = json.dumps({"name": name[:200], "everything": everything, "sheets": rows}, ensure_ascii=False)
    (folder / f"{made}.zst").write_bytes(zstandard.ZstdCompressor(level=3).compress(written.encode("utf-8", "surrogatepass")))
    return made


def pending(upload: UUID, *, by: int) -> Pending | None:
    """The upload, None where it is another's, expired or was never there."""
    path = _folder(by) / f"{upload}.zst"
    try:
        if path.stat().st_mtime < time.time() - EXPIRES_SECONDS:
            return None
        stored = json.loads(zstandard.ZstdDecompressor().decompress(path.read_bytes()).decode("utf-8", "surrogatepass"))
    except FileNotFoundError:
        return None
    sheets = [SheetRead(title, header, [(number, [_cell(cell) for cell in cells]) for number, cells in rows]) for title, header, rows in stored["sheets"]]  # fmt: skip
    return Pending(upload, by, stored["name"], stored["everything"], sheets)


def forget(upload: UUID, *, by: int) -> None:
    (_folder(by) / f"{upload}.zst").unlink(missing_ok=True)


def _folder(by: int) -> Path:
    return Path(settings.UPLOAD_DIR) / "plans" / str(by)


def _clean(folder: Path) -> None:
    for path in folder.glob("*/*.zst"):
        if path.stat().st_mtime < time.time() - EXPIRES_SECONDS:
            path.unlink(missing_ok=True)


def _cell(cell: Any) -> Any:
    return Odd(*cell) if isinstance(cell, list) else cell
