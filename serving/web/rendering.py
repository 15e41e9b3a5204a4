"""How pages are rendered and forms read: the visitor's language, the CSRF token, no caching. Knows no page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError

from models.errors import InputError
from models.fields import Storable
from serving.deps import Draft, MaybePerson, read_body, wrong_fields
from serving.records import Person, Role
from serving.words import Words, language_of, moment, words

LANGUAGE_COOKIE = "evidence_review_language"
_MAX_FORM_BYTES = 100_000
_MAX_DIGITS = 9
_POSTED = TypeAdapter(dict[str, Storable])
templates = Jinja2Templates(directory=Path(__file__).with_name("templates"))


async def form_fields(request: Request, person: MaybePerson) -> dict[str, str]:
    """Return the posted fields, the last of each name. The person comes first: a wrong CSRF token reads nothing.

    Raises CaseFormatError naming every field whose text can't be stored.
    """
    body = await read_body(request, max_bytes=_MAX_FORM_BYTES)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=60)
    try:
        return _POSTED.validate_python({name: values[-1] for name, values in fields.items()})
    except ValidationError as error:
        raise wrong_fields(error) from error


Fields = Annotated[dict[str, str], Depends(form_fields)]


def whole_number(fields: dict[str, str], name: str) -> int:
    """Return the number in a field. Raises InputError on anything but up to nine digits."""
    said = fields.get(name, "")
    if not said.isdecimal() or len(said) > _MAX_DIGITS:
        raise InputError("must be a whole number", field=name)
    return int(said)


def checked(kind: type[Draft], **said: Any) -> Draft:
    """Return the draft that a form's fields make. Raises CaseFormatError naming every wrong field."""
    try:
        return kind(**said)
    except ValidationError as error:
        raise wrong_fields(error) from error


def words_for(request: Request) -> Words:
    return words(language_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")))


def when(at: datetime) -> Markup:
    """Return a time of ours in UTC; the page's script says it in the reader's own zone."""
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" data-local>{} UTC</time>').format(utc.isoformat(), moment(utc))


def render(
    request: Request, name: str, *, person: Person | None, status_code: int = 200, **context: object
) -> HTMLResponse:
    """Render a page in the visitor's language, never cached."""
    t = words_for(request)
    role = person.user.role if person else None
    shared = {
        "t": t,
        "when": when,
        "language": t.language,
        "user": person.user if person else None,
        "csrf_token": person.csrf_token if person else "",
        "oversees": role in (Role.LEAD, Role.AUDITOR),
        "leads": role == Role.LEAD,
        "sees_models": role in (Role.LEAD, Role.AUDITOR, Role.ENGINEER),
        "back": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
    }
    return templates.TemplateResponse(
        request, name, {**shared, **context}, status_code=status_code, headers={"Cache-Control": "no-store"}
    )
