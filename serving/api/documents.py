"""The OpenAPI document: schemas of bodies that routes read themselves, examples, problem responses.

Bodies are read only once the caller is known to be allowed, so FastAPI doesn't see them; they are described here.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from models.domain import Case, DecisionDraft
from serving.api.keys import KEY_NEEDED
from serving.desk_records import (
    AppealDraft,
    AssignmentDraft,
    CorrectionDraft,
    NoticeText,
    ShortcutsDraft,
    StepAsideDraft,
    SwitchDraft,
    ViewDraft,
)
from serving.errors import MEDIA_TYPE, Problem, problem_responses
from serving.model_records import PromotionDraft, RollbackDraft, ShadowDraft
from serving.records import EvidenceDraft, WithdrawalDraft

TAGS = [
    {"name": "cases", "description": "Taking cases and evidence in; the queue."},
    {"name": "photos", "description": "Photo bytes, kept by content digest."},
    {"name": "suggestions", "description": "What the machine proposes. Never a decision."},
    {"name": "backlogs", "description": "Many cases at once, in the background."},
    {"name": "decisions", "description": "What a signed-in person decides. Append-only."},
    {"name": "desk", "description": "An arbitrator's day: holding cases, correcting the machine, notices, views."},
    {"name": "oversight", "description": "For leads and auditors: figures, every decision, bulk assignment."},
    {"name": "models", "description": "Champion and challenger, what the gate said, promotion, retraining."},
    {"name": "people", "description": "Signing in and out."},
    {"name": "health", "description": "Is it alive, is it ready, its figures."},
]

EXAMPLE_CASE: dict[str, Any] = {
    "case_id": "TB-2026-000123",
    "platform": "taobao",
    "opened_at": "2026-03-02T10:00:00+08:00",
    "claim": "damaged",
    "requested": "refund",
    "buyer_statement": "收到时杯子已经碎了",
    "seller_statement": "发货前检查过，完好",
    "listing": {"title": "骨瓷马克杯 350ml 白色", "category": "kitchenware", "attributes": {"color": "白色"}},
    "order": {
        "order_id": "o-1",
        "buyer_id": "b-77",
        "seller_id": "s-12",
        "paid_minor": 5900,
        "currency": "CNY",
        "goods_state": "received",
    },
    "logistics": [{"at": "2026-03-01T09:00:00+08:00", "event": "signed", "by": "locker", "note": "丰巢"}],
    "chat": [
        {
            "message_id": "m1",
            "at": "2026-03-01T12:00:00+08:00",
            "speaker": "buyer",
            "text": "杯子碎了",
            "photo_ids": ["p1"],
        }
    ],
    "photos": [{"photo_id": "p1", "role": "received", "filed_by": "buyer"}],
}

EXAMPLE_EVIDENCE: dict[str, Any] = {
    "photos": [{"photo_id": "p2", "role": "packaging", "filed_by": "buyer"}],
    "chat": [
        {
            "message_id": "m2",
            "at": "2026-03-01T12:05:00+08:00",
            "speaker": "buyer",
            "text": "这是外包装",
            "photo_ids": ["p2"],
        }
    ],
}

EXAMPLE_DECISION: dict[str, Any] = {
    "ruling": "refund",
    "stage": "first_review",
    "suggestion_id": None,
    "responsible": "seller",
    "remedy": {"refund_minor": 5900, "outbound_freight": "seller", "return_freight": None},
    "reason": "签收不当，照片显示破损",
    "review_seconds": 41.5,
}

_BODIES = (
    Case,
    EvidenceDraft,
    DecisionDraft,
    WithdrawalDraft,
    CorrectionDraft,
    StepAsideDraft,
    AppealDraft,
    AssignmentDraft,
    NoticeText,
    SwitchDraft,
    ViewDraft,
    ShortcutsDraft,
    PromotionDraft,
    RollbackDraft,
    ShadowDraft,
    Problem,
)


def json_body_of(*schemas: str, example: dict[str, Any], required: bool = True) -> dict[str, Any]:
    """Return `openapi_extra` for a route that reads one of these schemas as JSON."""
    refs = [{"$ref": f"#/components/schemas/{schema}"} for schema in schemas]
    schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
    return {
        "requestBody": {
            "required": required,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    }


PHOTO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A JPEG, PNG or WEBP: the bytes themselves, or a form with one file.",
        "content": {
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/jpeg", "image/png")},
            "image/webp": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}

STATELESS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The case as JSON, with each photo as a file named by its photo_id; or the case alone.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["case"],
                    "properties": {"case": {"type": "string", "description": "The case as JSON text."}},
                    "additionalProperties": {"type": "string", "format": "binary"},
                }
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/Case"}, "example": EXAMPLE_CASE},
        },
    }
}


def install_document(app: FastAPI) -> None:
    """Make `app.openapi()` complete: body schemas, and every problem under its own media type."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                separate_input_output_schemas=False,
            )
            _, extra = models_json_schema(
                [(body, "validation") for body in _BODIES], ref_template="#/components/schemas/{model}"
            )
            known = schema.setdefault("components", {}).setdefault("schemas", {})
            for name, definition in extra["$defs"].items():
                known.setdefault(name, definition)
            _problems_only(schema)
            _keys_on_posts(schema)
            _troubles_anywhere(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _keys_on_posts(schema: dict[str, Any]) -> None:
    """Every POST but signing in takes an Idempotency-Key; decisions and jobs need one."""
    for path, operations in schema["paths"].items():
        if "post" in operations and not path.endswith("/session"):
            operations["post"].setdefault("parameters", []).append(
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": path.endswith(KEY_NEEDED),
                    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
                    "description": "The same request again under the same key is answered alike and has one effect; "
                    "another one is refused with 422, and one that is still under way with 409.",
                }
            )


def _troubles_anywhere(schema: dict[str, Any]) -> None:
    """What may be answered before or below any route: too many requests, a storage that is away, full, or held."""
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            statuses = [] if "/health/" in path else [429, 503]
            statuses += [] if method == "get" else [507]
            statuses += [] if method in ("get", "delete") else [413]
            statuses += [409, 422] if method == "post" else []
            for status, answer in problem_responses(*statuses).items():
                operation["responses"].setdefault(str(status), answer)


def _problems_only(schema: dict[str, Any]) -> None:
    """FastAPI describes 422 in its own form; ours is a problem like every other."""
    for path in schema["paths"].values():
        for operation in path.values():
            answer = operation.get("responses", {}).get("422")
            if answer is not None:
                answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
