"""Files by the API: POST /api/v1/imports announces one, PATCH sends its parts as tus 1.0 does, GET tells what became of it.

A write key may stand in a web page, so nothing here lists what a source has sent: an import's id, which only its sender knows, is
part of the right to see it.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from ingestion import keys
from ingestion.answers import ErrorSchema
from ingestion.doors.api import authenticated
from ingestion.doors.deliver import body_of, length_of
from ingestion.doors.errors import ApiError
from ingestion.doors.files import ENCODINGS, MEASURES, MOST_SIGNS, QUOTES, FileFormat, is_delimiter
from ingestion.imports.check_file import finding
from ingestion.imports.failed import failed_rows, has_failed_rows
from ingestion.imports.preview import warnings
from ingestion.imports.report import has_failed, problem, report
from ingestion.imports.run import was_imported_before
from ingestion.imports.uploads import MOST_BYTES, Busy, NoRoom, WrongOffset, begin_upload, receive_part
from ingestion.imports.words import TRAPS, told_traps
from ingestion.jobs import finish_file
from ingestion.models import ImportChunk, ImportRun, Upload
from taxonomy.current import NoRelease, current
from taxonomy.models import Source
from taxonomy.standardize import Violation, decode_json, encode_json, storable

TUS = "1.0.0"
PART_TYPE = "application/offset+octet-stream"
PART_BYTES = 64 * 1024 * 1024
FINDINGS_AT_ONCE = 1_000
_FINDING = ("row", "column", "code", "seen", "expected", "message")
_AUTH: Any = [{"write key": []}]
_EXAMPLE: dict[str, Any] = {
    "id": "8c1f0c6a-5b7d-4a1f-9a3b-2c1d0e9f8a7b", "status": "finished", "file": "orders.csv", "size_bytes": 20_480, "offset": 20_480,
    "dry_run": False, "received": 120, "accepted": 117, "changed": 120, "duplicate": 0, "quarantined": 2, "refused": 1,
    "causes": {"attribute.wrong_type": 2, "record.columns": 1}, "notes": {},
    "traps": [{"code": "cut", "column": "order_id", "row": 7, "message": "Column “order_id”, row 7: “2.10381E+18” has lost its last digits in a spreadsheet. Such ids are held; export the column as text."}],
    "error": None,
    "imported_before": False, "upload": "/api/v1/imports/8c1f0c6a-5b7d-4a1f-9a3b-2c1d0e9f8a7b/file",
    "failed_rows": "/api/v1/imports/8c1f0c6a-5b7d-4a1f-9a3b-2c1d0e9f8a7b/failed-rows",
    "findings": "/api/v1/imports/8c1f0c6a-5b7d-4a1f-9a3b-2c1d0e9f8a7b/findings",
}  # fmt: skip
_ANNOUNCED = {"file": "orders.csv", "size_bytes": 20_480, "dry_run": False, "format": {"encoding": "gb18030"}}


class FormatSchema(serializers.Serializer[Any]):
    # How the file is to be read, where that cannot be found out by looking at it.

    encoding = serializers.ChoiceField(list(ENCODINGS), required=False)
    delimiter = serializers.CharField(
        max_length=MOST_SIGNS, trim_whitespace=False, required=False, help_text=_("Between cells, such as ; or +|")
    )
    quote = serializers.ChoiceField([*QUOTES, ""], required=False, help_text=_("Empty: nothing is quoted."))
    above = serializers.IntegerField(min_value=0, max_value=100, required=False, help_text=_("Rows above the header."))
    headers = serializers.IntegerField(min_value=0, max_value=2, required=False, help_text=_("Rows that the header has."))
    member = serializers.CharField(max_length=255, allow_blank=True, required=False, help_text=_("The file in a zip."))
    sheet = serializers.CharField(max_length=255, required=False, help_text=_("The sheet of a workbook."))
    widths = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=10_000), max_length=1_000, allow_empty=False, required=False,
        help_text=_("Of columns of fixed width, in their order."),
    )  # fmt: skip
    measure = serializers.ChoiceField(
        list(MEASURES), required=False, help_text=_("What widths count: characters, or bytes of an encoding.")
    )

    def validate_delimiter(self, signs: str) -> str:
        if not is_delimiter(signs):
            raise serializers.ValidationError(_("Give one to three characters that are no letters, digits or quotation marks."))
        return signs


class AnnounceSchema(serializers.Serializer[Any]):
    file = serializers.CharField(max_length=255, help_text=_("Its name; only for people."))
    size_bytes = serializers.IntegerField(min_value=1, max_value=MOST_BYTES, help_text=_("As it is sent, packed or not."))
    dry_run = serializers.BooleanField(default=False, help_text=_("Say what would become of each row and store nothing."))
    format = FormatSchema(required=False)


class TrapSchema(serializers.Serializer[Any]):
    code = serializers.ChoiceField(list(TRAPS))
    column = serializers.CharField(help_text=_("Empty for the row as a whole."))
    row = serializers.IntegerField()
    message = serializers.CharField()


class ImportSchema(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(["uploading", "waiting", "running", "finished", "stopped", "failed"])
    file = serializers.CharField()
    size_bytes = serializers.IntegerField()
    offset = serializers.IntegerField(help_text=_("Where the next part begins."))
    dry_run = serializers.BooleanField()
    received = serializers.IntegerField()
    accepted = serializers.IntegerField()
    changed = serializers.IntegerField(help_text=_("Of the accepted: those brought to the standard by a change."))
    duplicate = serializers.IntegerField()
    quarantined = serializers.IntegerField()
    refused = serializers.IntegerField()
    causes = serializers.DictField(child=serializers.IntegerField(), help_text=_("Rows by why they failed."))
    notes = serializers.DictField(child=serializers.IntegerField(), help_text=_("Rows by what was only noted."))
    traps = TrapSchema(
        many=True,
        help_text=_("Once it has ended: what in the first 1,000 rows may be read otherwise than it was meant, or has lost something. The first of each kind in each column."),
    )  # fmt: skip
    error = serializers.DictField(child=serializers.CharField(), allow_null=True, help_text=_("code and message, where the file as a whole failed."))  # fmt: skip
    imported_before = serializers.BooleanField(
        help_text=_("An earlier import brought the same content in and was not taken back. Rows with neither id nor time count again, and so do like rows of a source that keeps them apart.")
    )  # fmt: skip
    upload = serializers.CharField(help_text=_("Where its parts are sent."))
    failed_rows = serializers.CharField(allow_null=True, help_text=_("Where rows that failed can be fetched, in the file's own form."))
    findings = serializers.CharField(allow_null=True, help_text=_("Where each fault is told with its row and column."))


class FindingSchema(serializers.Serializer[Any]):
    row = serializers.IntegerField(
        help_text=_(
            "The file's own line, or the sheet's row; of a JSON list, Parquet or several files read as one, the number of the record."
        )
    )
    column = serializers.CharField(help_text=_("Empty for the row as a whole."))
    code = serializers.CharField()
    seen = serializers.JSONField()
    expected = serializers.CharField()
    message = serializers.CharField()


class FindingsSchema(serializers.Serializer[Any]):
    findings = FindingSchema(many=True)
    next = serializers.IntegerField(allow_null=True, help_text=_("Ask again with ?after= this number for more."))


class ImportsView(APIView):
    """Files of the source whose write key comes with them."""

    @extend_schema(
        operation_id="announce_import", summary=_("Announce a file"), description=_("Announce a file of up to 20 GB; then send its bytes by PATCH. What is not sent to its end is forgotten after seven days."), tags=["Imports"], auth=_AUTH,
        request=OpenApiRequest(AnnounceSchema, examples=[OpenApiExample("A file", summary=_("A file"), value=_ANNOUNCED)]),
        responses={201: ImportSchema, **dict.fromkeys((400, 401, 403, 411, 413, 503, 507), ErrorSchema)},
        examples=[OpenApiExample("Announced", {**_EXAMPLE, "status": "uploading", "offset": 0, "traps": [], "failed_rows": None, "findings": None}, response_only=True, status_codes=["201"])],
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        sender = authenticated(request)
        try:
            said = _announced(request)
            source = Source.every.get(pk=sender.source_id)
            upload = begin_upload(
                source, file_name=said["file"], size_bytes=said["size_bytes"], said=said["format"], dry_run=said["dry_run"] or sender.test
            )
        except NoRoom as error:
            refusal = ApiError(507, "upload.no_room", _("There is no room for the file now, or 20 uploads of this source are not finished. Finish them, or try again later."))  # fmt: skip
            keys.count_failure(refusal.code, sender.source_id)
            raise refusal from error
        except ApiError as error:
            keys.count_failure(error.code, sender.source_id)
            raise
        answer = _answer(_status(upload), status=201)
        answer.headers["Location"] = reverse("import", args=[upload.pk])
        return answer


class ImportView(APIView):
    @extend_schema(
        operation_id="read_import", summary=_("Read what became of a file"), description=_("Its status and the counts so far. Ask again every few seconds until it is finished, stopped or failed."), tags=["Imports"], auth=_AUTH,
        responses={200: ImportSchema, **dict.fromkeys((401, 403, 404), ErrorSchema)},
        examples=[OpenApiExample("Finished", _EXAMPLE, response_only=True, status_codes=["200"])],
    )  # fmt: skip
    def get(self, request: Request, upload_id: UUID) -> HttpResponse:
        return _answer(_status(_upload(request, upload_id)))


class ImportFileView(APIView):
    """The file itself, sent in parts as tus 1.0 has it; tus clients can resume at this address."""

    @extend_schema(
        operation_id="send_part", summary=_("Send a part of a file"), description=_("Up to 64 MB from Upload-Offset on. Broken off, ask by HEAD where to go on. With the last byte the import begins."), tags=["Imports"], auth=_AUTH,
        parameters=[
            OpenApiParameter("Upload-Offset", int, OpenApiParameter.HEADER, required=True, description=_("Where the part begins.")),
            OpenApiParameter("Tus-Resumable", str, OpenApiParameter.HEADER, description=_("1.0.0, as tus clients send it.")),
        ],
        request={PART_TYPE: OpenApiTypes.BINARY},
        responses={204: OpenApiResponse(description=_("Kept. Upload-Offset tells where the next part begins.")), **dict.fromkeys((400, 401, 403, 404, 409, 411, 412, 413, 415, 423, 503, 507), ErrorSchema)},
    )  # fmt: skip
    def patch(self, request: Request, upload_id: UUID) -> HttpResponse:
        upload = _upload(request, upload_id)
        try:
            upload = _take_part(request, upload)
        except ApiError as error:
            keys.count_failure(error.code, str(upload.source_id))
            raise
        return _offset(upload, 204)

    @extend_schema(exclude=True)
    def head(self, request: Request, upload_id: UUID) -> HttpResponse:
        return _offset(_upload(request, upload_id), 200)

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return HttpResponse(status=204, headers={"Tus-Resumable": TUS, "Tus-Version": TUS, "Tus-Max-Size": str(MOST_BYTES)})


class ImportFailedRowsView(APIView):
    @extend_schema(
        operation_id="read_failed_rows", summary=_("Fetch the rows that failed"), description=_("Those that wait still or were refused, in the form the file came in, with `_tagline_id` and `_reason`. Mended and sent again, each row closes what it held."), tags=["Imports"], auth=_AUTH,
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **dict.fromkeys((401, 403, 404, 409), ErrorSchema)},
    )  # fmt: skip
    def get(self, request: Request, upload_id: UUID) -> StreamingHttpResponse:
        run = _ended(request, upload_id)
        answer = StreamingHttpResponse(failed_rows(run), content_type="application/octet-stream")
        answer.headers["Content-Disposition"] = f'attachment; filename="failed.{run.format["kind"]}"'
        answer.headers["Cache-Control"] = "no-store"
        return answer


class ImportFindingsView(APIView):
    @extend_schema(
        operation_id="list_findings", summary=_("List the faults of a file"), description=_("Each fault with its row, column, what was seen and what was expected, 1,000 at a time; five of a row at the most."), tags=["Imports"], auth=_AUTH,
        parameters=[OpenApiParameter("after", int, description=_("Only those after so many."))],
        responses={200: FindingsSchema, **dict.fromkeys((400, 401, 403, 404, 409, 503), ErrorSchema)},
    )  # fmt: skip
    def get(self, request: Request, upload_id: UUID) -> HttpResponse:
        after = request.query_params.get("after", "0")
        if not after.isdecimal() or len(after) > 12:
            raise ApiError(400, "import.fields", _("after is a whole number, such as the one of next."))
        return _answer(_findings(_ended(request, upload_id), int(after)))


def _announced(request: Request) -> dict[str, Any]:
    """{"file", "size_bytes", "dry_run", "format"} of a body. Raises ApiError."""
    decoded = decode_json(body_of(request._request))
    fields = AnnounceSchema(data=decoded if isinstance(decoded, dict) else None)
    if not fields.is_valid():
        told = "; ".join(f"{name}: {_first(one)}" for name, one in fields.errors.items())
        raise ApiError(400, "import.fields", _("The announcement cannot be read: %(told)s") % {"told": told})
    said: dict[str, Any] = fields.validated_data
    return {**said, "file": storable(said["file"]), "format": storable(dict(said.get("format") or {}))}


def _first(problems: Any) -> str:
    return (
        _first(next(iter(problems.values() if isinstance(problems, dict) else problems)))
        if not isinstance(problems, str)
        else str(problems)
    )


def _upload(request: Request, upload_id: UUID) -> Upload:
    """An upload of the key's own source. Raises ApiError 401, 403 or 404."""
    sender = authenticated(request)
    found = Upload.objects.select_related("run").filter(pk=upload_id, source=UUID(sender.source_id)).first()
    if found is None:
        raise ApiError(404, "import.unknown", _("This source has no import of this id. Check the id; what was not sent to its end is forgotten after seven days."))  # fmt: skip
    return found


def _ended(request: Request, upload_id: UUID) -> ImportRun:
    """The run of an upload that has ended. Raises ApiError 409 before that."""
    upload = _upload(request, upload_id)
    if upload.run is None or _status(upload)["status"] not in ("finished", "stopped", "failed"):
        raise ApiError(409, "import.not_ended", _("The import has not ended. Ask for its status until it is finished."))
    return upload.run


def _take_part(request: Request, upload: Upload) -> Upload:
    offset = request.headers.get("Upload-Offset", "")
    if request.headers.get("Tus-Resumable", TUS) != TUS:
        raise ApiError(412, "upload.version", _("Only version 1.0.0 of tus is spoken here."))
    if request.content_type.partition(";")[0].strip().lower() != PART_TYPE:
        raise ApiError(415, "upload.media_type", _("Send the part with the header Content-Type: application/offset+octet-stream."))
    length = length_of(request.META)
    if length is not None and length > PART_BYTES:
        raise _too_large()
    if not (offset.isascii() and offset.isdecimal()):
        raise ApiError(400, "upload.no_offset", _("Say where the part begins, with the header Upload-Offset."))
    read = request.META["wsgi.input"].read
    if length is None:
        length = max(0, min(PART_BYTES, upload.size_bytes - int(offset)))
        read = _reader_of_pieces(read, length)
    try:
        return receive_part(upload.pk, int(offset), read, length, when_whole=_begin)
    except Busy as error:
        raise ApiError(423, "upload.busy", _("Another part of the file is just being received. Ask by HEAD in a moment, then go on."), retry_after_seconds=2) from error  # fmt: skip
    except WrongOffset as error:
        raise _wrong_offset() from error
    except OSError as error:
        raise ApiError(507, "upload.no_room", _("The disk is full. What came is kept; try again later, from the offset that HEAD tells.")) from error  # fmt: skip


def _reader_of_pieces(stream: Callable[[int], bytes], length: int) -> Callable[[int], bytes]:
    """Read a part whose length is not said, a byte ahead: where it goes on beyond `length`, its end is not kept. Raises ApiError 409 or 413."""
    ahead, left = b"", length

    def read(most: int) -> bytes:
        nonlocal ahead, left
        found = ahead + stream(most + 1 - len(ahead))
        found, ahead = found[:most], found[most:]
        left -= len(found)
        if ahead and not left:
            raise _too_large() if length == PART_BYTES else _wrong_offset()
        return found

    return read


def _too_large() -> ApiError:
    return ApiError(413, "upload.too_large", _("A part may have 64 MB. Send the rest in another one."))


def _wrong_offset() -> ApiError:
    return ApiError(409, "upload.offset", _("The part does not begin where the upload stands, or goes beyond its size. Ask by HEAD for Upload-Offset and go on there."))  # fmt: skip


def _begin(upload_id: UUID) -> None:
    finish_file.defer(upload_id=str(upload_id))


def _status(upload: Upload) -> dict[str, Any]:
    here = reverse("import", args=[upload.pk])
    told: dict[str, Any] = {
        "id": str(upload.pk), "status": "waiting" if upload.is_whole else "uploading", "file": upload.file_name, "size_bytes": upload.size_bytes,
        "offset": upload.received_bytes, "dry_run": upload.dry_run, "received": 0, "accepted": 0, "changed": 0, "duplicate": 0,
        "quarantined": 0, "refused": 0, "causes": {}, "notes": {}, "traps": [], "error": None, "imported_before": False,
        "upload": f"{here}/file", "failed_rows": None, "findings": None,
    }  # fmt: skip
    if upload.error:
        return told | {"status": "failed", "error": problem(upload.error, upload.error_values)}
    if upload.run is None:
        return told
    found = report(upload.run)
    told |= {name: found[name] for name in ("status", "received", "accepted", "changed", "duplicate", "quarantined", "refused", "causes", "notes", "error")}  # fmt: skip
    told["imported_before"] = was_imported_before(upload.run)
    if told["status"] not in ("finished", "stopped", "failed"):
        return told
    told["traps"] = told_traps(warnings(upload.run))
    if has_failed(upload.run):
        told["findings"] = f"{here}/findings"
        told["failed_rows"] = f"{here}/failed-rows" if has_failed_rows(upload.run) else None
    return told


def _findings(run: ImportRun, after: int) -> dict[str, Any]:
    try:
        source = current().plan.sources_by_uuid[str(run.source_id)]
    except (NoRelease, KeyError) as error:
        raise ApiError(503, "source.unreleased", _("The source is not in the published standard yet. Publish it, then send again."), retry_after_seconds=30) from error  # fmt: skip
    matching = FileFormat(**run.format).matching
    told: list[dict[str, Any]] = []
    number = 0
    for failed in ImportChunk.objects.filter(run=run).order_by("index").values_list("failed_rows", flat=True).iterator(chunk_size=8):
        for row, _event, violations, *_unmended in failed:
            for one in violations:
                number += 1
                if number > after + FINDINGS_AT_ONCE:
                    return {"findings": told, "next": number - 1}
                if number > after:
                    found = finding(row, msgspec.convert(one, Violation), source, matching)._asdict()
                    told.append({name: found[name] for name in _FINDING})
    return {"findings": told, "next": None}


def _offset(upload: Upload, status: int) -> HttpResponse:
    told = {"Upload-Offset": str(upload.received_bytes), "Upload-Length": str(upload.size_bytes), "Tus-Resumable": TUS}
    return HttpResponse(status=status, headers={**told, "Cache-Control": "no-store"})


def _answer(content: dict[str, Any], *, status: int = 200) -> HttpResponse:
    answer = HttpResponse(encode_json(content), content_type="application/json", status=status)
    answer.headers["Cache-Control"] = "no-store"
    return answer
