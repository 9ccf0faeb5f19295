"""Packages: what the archive holds, its PREMIS, its history, and each file in each representation."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from worker.api import download
from worker.api.answers import answers
from worker.api.caller import Caller, Reader
from worker.api.jobs import Cursor, Limit
from worker.api.package_words import EventAnswer, EventList, PackageAnswer, PackageFile, PackageFileList, PackageList
from worker.api.problems import not_found
from worker.ledger.service_facts import EntryView, PackageView
from worker.pipeline.naming import original_path
from worker.store import layout
from worker.store.contract import NotInStoreError

router = APIRouter(prefix="/v1/packages", tags=["packages"])
PREMIS = "metadata/premis.xml"
Representation = Literal["original", "preservation", "access", "metadata"]
PackageId = Annotated[str, Path(max_length=2000, description="Its id or its name.", examples=["urn:bevara:lund:diarium-17"])]
FilePath = Annotated[str, Path(description="The file's path in the package, as it was delivered; or a derivative's own path.")]
Which = Annotated[Representation, Query(description="Which representation of it.")]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {
        "description": "The range of it.",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "The client has these bytes already."},
}


@router.get("", operation_id="listPackages", summary="List packages", responses=answers("bad-cursor"))
def listed(caller: Reader, cursor: Cursor = None, limit: Limit = 50) -> PackageList:
    """The tenant's packages in the order they first came."""
    page = caller.door.packages(cursor, limit)
    return PackageList(packages=[_answer(one) for one in page.items], next=page.cursor)


@router.get("/{package}", operation_id="getPackage", summary="Look at a package", responses=answers("not-found"))
def shown(caller: Reader, package: PackageId) -> PackageAnswer:
    """The newest version and the end of its chain of events."""
    return _answer(_package(caller, package))


@router.get(
    "/{package}/premis",
    operation_id="getPremis",
    summary="Get a package's PREMIS",
    response_class=StreamingResponse,
    responses={
        200: {"description": "PREMIS 3.0 of the newest version.", "content": {"application/xml": {"schema": {"type": "string"}}}},
        **answers("not-found", "no-store"),
    },
)
def premis(caller: Reader, package: PackageId) -> Response:
    """What the archive itself says of the package: the document that lies in its newest version."""
    found = _package(caller, package)
    if not found.version:
        raise not_found("package with a version")
    # Every version has its own, since every version has new events: its place needs no look into the inventory.
    key = _key(found, f"v{found.version}/content/{PREMIS}")
    try:
        stream = caller.service.bucket_of(caller.tenant).get(key)
    except NotInStoreError:  # another tool named the content otherwise
        stream = caller.service.store_of(caller.tenant).read(found.object_id, PREMIS)
    headers = {"Content-Disposition": download.disposition(f"{found.package}-premis.xml"), "Cache-Control": "no-store"}
    return StreamingResponse(download.pieces(stream), headers=headers, media_type="application/xml")


@router.get(
    "/{package}/events",
    operation_id="listPackageEvents",
    summary="List a package's events",
    responses=answers("not-found"),
)
def events(
    caller: Reader,
    package: PackageId,
    after: Annotated[int, Query(ge=0, le=10**18, description="Number of the last event that was seen.")] = 0,
    limit: Limit = 100,
) -> EventList:
    """The chain of events after a number, each with its hash, so that the chain can be checked anywhere."""
    _package(caller, package)
    found = [
        EventAnswer(seq=one.seq, hash=one.hash, event=json.loads(one.body)) for one in caller.door.events(package, after, limit)
    ]
    return EventList(events=found)


@router.get(
    "/{package}/files",
    operation_id="listPackageFiles",
    summary="List a package's files",
    responses=answers("not-found", "bad-cursor"),
)
def files(caller: Reader, package: PackageId, cursor: Cursor = None, limit: Limit = 100) -> PackageFileList:
    """The newest version's files in all representations, in path order, each with its digests and what it was made from.

    While a job works on the package, files that it has changed are missing here until its version stands; each can be fetched.
    """
    _package(caller, package)
    page = caller.door.entries(package, None, cursor, limit)
    return PackageFileList(files=[_file(one) for one in page.items], next=page.cursor)


@router.get(
    "/{package}/files/{path:path}",
    operation_id="getFile",
    summary="Download a file",
    response_class=StreamingResponse,
    responses=_FILE | answers("not-found", "range", "no-store"),
)
def file(
    *,
    caller: Reader,
    package: PackageId,
    path: FilePath,
    request: Request,
    representation: Which = "original",
    range_: Annotated[str | None, Header(alias="Range")] = None,
    if_none_match: Annotated[str | None, Header(max_length=2000)] = None,
    if_range: Annotated[str | None, Header(max_length=300)] = None,
) -> Response:
    """The file's bytes as they are stored. `ETag` is their SHA-512, so a download can be resumed and checked.

    With `representation` other than `original`, the path of the original means what was made from it, when that is one file.
    """
    found = _package(caller, package)
    entry = _entry(caller, found, path, representation)
    asked = download.Asked(range_, if_none_match, if_range, head=request.method == "HEAD")
    return download.answer(caller.service.bucket_of(caller.tenant), _key(found, entry.content_path), entry, asked=asked)


router.add_api_route(
    "/{package}/files/{path:path}",
    file,
    methods=["HEAD"],
    operation_id="headFile",
    summary="Look at a file without its bytes",
    response_class=StreamingResponse,
    responses={200: {"description": "Its headers."}, **answers("not-found", "range", "no-store")},
)


def _package(caller: Caller, wanted: str) -> PackageView:
    found = caller.door.package(wanted)
    if found is None:
        raise not_found("package")
    return found


def _entry(caller: Caller, package: PackageView, path: str, representation: Representation) -> EntryView:
    """A committed file by its own path, or the only one of *representation* that was made from the original *path*."""
    wanted, source = f"{representation}/{path}", None if representation == "original" else original_path(path)
    entry = caller.door.entry(package.object_id, wanted)
    if entry is None and source is not None:
        made = caller.door.entries(package.object_id, source, None, 100).items
        fitting = [one for one in made if one.logical_path.startswith(f"{representation}/")]
        entry = fitting[0] if len(fitting) == 1 else None
    entry = entry or _standing(caller, package, wanted, source)
    if entry is None or entry.version is None:
        raise not_found("file")
    return entry


def _standing(caller: Caller, package: PackageView, wanted: str, source: str | None) -> EntryView | None:
    """What the newest version has, where the ledger tells already of the next one: then the store itself is asked."""
    below = wanted.partition("/")[0] + "/"
    names = {one for one in caller.door.changing(package.object_id, wanted, source) if one.startswith(below)}
    if not names or not package.version:
        return None
    state = caller.service.store_of(caller.tenant).state(package.object_id, package.version)
    found = {one.logical_path: one.sha512 for one in state if one.logical_path in names}
    name = wanted if wanted in found else next(iter(found)) if len(found) == 1 else None
    return caller.door.held(package.object_id, name, found[name], package.version) if name is not None else None


def _key(package: PackageView, content_path: str) -> str:
    """Where content lies below the place of the tenant's primary store."""
    return f"store/{layout.object_path(package.object_id)}/{content_path}"


def _answer(one: PackageView) -> PackageAnswer:
    here = f"/v1/packages/{quote(one.object_id, safe='')}"
    return PackageAnswer(
        id=one.object_id,
        package=one.package,
        version=f"v{one.version}" if one.version else None,
        last_event=one.last_seq,
        last_event_hash=one.last_hash,
        links={"self": here, "files": f"{here}/files", "premis": f"{here}/premis", "events": f"{here}/events"},
    )


def _file(one: EntryView) -> PackageFile:
    representation, _, path = one.logical_path.partition("/")
    return PackageFile(
        path=path,
        representation=representation,
        size_bytes=one.size_bytes,
        sha256=one.sha256,
        sha512=one.sha512,
        puid=one.puid,
        mime=one.mime,
        made_from=one.source,
    )
