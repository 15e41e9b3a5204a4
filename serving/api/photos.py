"""Photo bytes over HTTP: up as filed, down re-encoded or as filed."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.datastructures import UploadFile

from models.domain import Identifier
from models.errors import ImageUnreadableError, InputError
from serving.api.documents import PHOTO_BODY
from serving.deps import CaseKeyDep, Filer, HouseDep, Reader, read_body
from serving.errors import problem_responses
from serving.records import Intake
from serving.refusals import BodyTooLargeError, UnknownError

router = APIRouter(prefix="/cases", tags=["photos"])

PhotoId = Annotated[Identifier, Path()]
_FORM_OVERHEAD = 100_000


async def photo_body(request: Request, house: HouseDep, person: Filer) -> bytes:
    """Return the photo's bytes, sent bare or in a form with one file. Raises BodyTooLargeError, InputError."""
    max_bytes = house.settings.max_photo_bytes
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await read_body(request, max_bytes=max_bytes)
    await read_body(request, max_bytes=max_bytes + _FORM_OVERHEAD)
    async with request.form(max_files=1, max_fields=1) as form:
        files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        if len(files) != 1:
            raise InputError("must hold exactly one file", field="file")
        data = await files[0].read()
    if len(data) > max_bytes:
        raise BodyTooLargeError(max_bytes=max_bytes)
    return data


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": Intake, "description": "These bytes were on file already."},
    201: {"model": Intake, "description": "Stored; the case has a new version."},
    **problem_responses(400, 401, 403, 404, 409, 413, 415, 422, 503, 507),
}


@router.put(
    "/{platform}/{case_id:path}/photos/{photo_id:path}", status_code=201, responses=_ANSWERS, openapi_extra=PHOTO_BODY
)
def store_photo(
    person: Filer,
    key: CaseKeyDep,
    photo_id: PhotoId,
    data: Annotated[bytes, Depends(photo_body)],
    house: HouseDep,
    response: Response,
) -> Intake:
    """Store the bytes of a photo that the case lists. It must decode as JPEG, PNG or WEBP."""
    version = house.store.version(key)
    if all(photo.photo_id != photo_id for photo in version.case.photos):
        raise UnknownError("photo", photo_id)
    try:
        photo = house.photo_intake.keep(data)
    except ImageUnreadableError as error:
        raise ImageUnreadableError(error.message, field=photo_id) from error
    intake = house.store.add_photo(key, photo_id, photo, by=person.user)
    house.photos.make_sure(photo.digest, data)
    response.status_code = 201 if intake.changed else 200
    response.headers["ETag"] = f'"{intake.version}"'
    return intake


@router.get(
    "/{platform}/{case_id:path}/photos/{photo_id:path}",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}, "image/png": {}, "image/webp": {}}, "description": "The photo."},
        304: {"description": "Unchanged."},
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
def get_photo(
    person: Reader,
    key: CaseKeyDep,
    photo_id: PhotoId,
    house: HouseDep,
    request: Request,
    size: Literal["preview", "original"] = "preview",
) -> Response:
    """Get a photo: by default an upright re-encoded JPEG of at most 1280 pixels, or the original as filed."""
    digest = house.store.version(key).digests.get(photo_id)
    if digest is None:
        raise UnknownError("photo", photo_id)
    etag = f'"{digest.removeprefix("sha256:")}-{size}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, max-age=0, must-revalidate",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": "inline",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if size == "preview":
        return Response(house.photo_intake.preview(digest), media_type="image/jpeg", headers=headers)
    data, media_type = house.photo_intake.original(digest)
    return Response(data, media_type=media_type, headers=headers)
