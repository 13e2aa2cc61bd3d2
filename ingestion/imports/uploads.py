"""A file that comes by the API in parts: kept on disk as far as it was answered, then imported like any other.

Killed at any moment, the upload goes on at the offset that the database knows; what was written beyond it is written again.
"""

import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from ingestion.alone import alone, alone_or_not
from ingestion.doors.files import UnreadableFile
from ingestion.imports.run import run_import, take_file
from ingestion.models import Upload
from taxonomy.models import Source
from taxonomy.standardize import storable

MOST_BYTES = 20 * 1024**3
# Of one source, not whole yet: a key that stands in a web page must not fill the disk.
MOST_OPEN = 20
KEPT_DAYS = 7
# So much of the disk stays free for the database.
_SPARE_BYTES = 1024**3
# What is told of a file that was refused, but not to who has only its key: columns of other files.
_OF_OTHERS = {"missing"}
_PIECE_BYTES = 1024 * 1024
# Between these, what came is made safe on disk.
_SAFE_BYTES = 16 * 1024 * 1024


class NoRoom(Exception):
    """The disk, or the source's share of it, is full."""


class Busy(Exception):
    """Another part of the upload is being received."""


class WrongOffset(Exception):
    """The part does not begin where the upload stands."""


def begin_upload(source: Source, *, file_name: str, size_bytes: int, said: dict[str, Any], dry_run: bool) -> Upload:
    """Raises NoRoom."""
    folder = _folder()
    if shutil.disk_usage(folder).free < size_bytes + _SPARE_BYTES:
        raise NoRoom
    if Upload.objects.filter(source=source, received_bytes__lt=F("size_bytes")).count() >= MOST_OPEN:
        raise NoRoom
    return Upload.objects.create(source=source, file_name=file_name, size_bytes=size_bytes, said=said, dry_run=dry_run)


def receive_part(upload_id: UUID, offset: int, read: Callable[[int], bytes], length: int, *, when_whole: Callable[[UUID], None]) -> Upload:
    """Append what `read` gives, `length` bytes at the most; all that came is kept, also where the sender breaks off.

    `when_whole` is called once, in the commit that makes the file whole. Raises Busy, WrongOffset, and OSError where the disk is full.
    """
    with alone_or_not(upload_id) as is_alone:
        if not is_alone:
            raise Busy
        upload = Upload.objects.get(pk=upload_id)
        path = _path(upload_id)
        if upload.run_id is None and not upload.is_whole and not (path.exists() and path.stat().st_size >= upload.received_bytes):
            _note(upload, 0)  # somebody took the part away
        if offset != upload.received_bytes or offset + length > upload.size_bytes:
            raise WrongOffset
        if upload.is_whole:
            return upload
        with path.open("r+b" if path.exists() else "wb") as file:
            os.chmod(path, 0o600)
            file.truncate(offset)
            file.seek(offset)
            safe = offset
            try:
                while length and (piece := read(min(_PIECE_BYTES, length))):
                    file.write(piece)
                    length -= len(piece)
                    if file.tell() - safe >= _SAFE_BYTES:
                        safe = _make_safe(upload, file)
            finally:
                # the last byte and the import's beginning are one commit
                with transaction.atomic():
                    _make_safe(upload, file)
                    if upload.is_whole:
                        when_whole(upload.pk)
        return upload


def finish_upload(upload_id: UUID) -> None:
    """Import a whole file. Safe to call again after any interruption."""
    with alone(upload_id):
        upload = Upload.objects.select_related("source").filter(pk=upload_id).first()
        if upload is None or not upload.is_whole or upload.error:
            return
        if upload.run is None:
            try:
                upload.run = take_file(
                    _path(upload_id), source=upload.source, file_name=upload.file_name, dry_run=upload.dry_run, **upload.said
                )
            except UnreadableFile as error:
                upload.error = error.code
                upload.error_values = storable({name: value for name, value in error.values.items() if name not in _OF_OTHERS})
            upload.save(update_fields=["run", "error", "error_values"])
        _path(upload_id).unlink(missing_ok=True)
    if upload.run is not None:
        run_import(upload.run.pk)


def forget_half_sent(now: datetime) -> int:
    """Uploads of which nothing came for days; how many."""
    stale = list(Upload.objects.filter(received_bytes__lt=F("size_bytes"), changed_at__lt=now - timedelta(days=KEPT_DAYS)))
    for upload in stale:
        with alone(upload.pk):
            if Upload.objects.filter(pk=upload.pk, changed_at=upload.changed_at).delete()[0]:
                _path(upload.pk).unlink(missing_ok=True)
    return len(stale)


def _make_safe(upload: Upload, file: Any) -> int:
    """What was written is on disk, and known to be: the new offset."""
    file.flush()
    os.fsync(file.fileno())
    _note(upload, file.tell())
    return upload.received_bytes


def _note(upload: Upload, offset: int) -> None:
    upload.received_bytes, upload.changed_at = offset, timezone.now()
    upload.save(update_fields=["received_bytes", "changed_at"])


def _folder() -> Path:
    folder = Path(settings.UPLOAD_DIR) / "parts"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _path(upload_id: UUID) -> Path:
    return _folder() / str(upload_id)
