"""The API's description in OpenAPI 3.1. Its parameters are made of the very forms that read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.conf import settings

from audit.api.problems import CONTENT_TYPE
from audit.api.tokens import FIRST_TOLD
from audit.exporting.tables import COLUMNS
from audit.history.forms import AsOfForm, TimelineForm

VERSION = "1.0.0"
_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_NUMBER = {"type": "integer"}
_MOMENT = {"type": ["string", "null"], "format": "date-time"}
_NEXT = {"type": ["string", "null"], "description": "The address of the next page; null on the last."}
_OBJECT = {"type": "object"}
_EVENT_TYPES: Mapping[str, Any] = {
    "event_id": _NUMBER,
    "words": _OBJECT,
    "facts": _OBJECT,
    "sealed_in_batch": {"type": ["integer", "null"]},
}


def description() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Access Portal: audit trail",
            "version": VERSION,
            "description": "Reading only. Times are ISO 8601 in UTC; ids of people and groups are Entra's object ids. "
            "A token counts while its owner is an auditor and has signed in within the last "
            f"{settings.API_SIGN_IN_WITHIN.days} days. "
            "The trail tells of each day's first use of a token, and of how many events it has read on a day: once they are "
            f"{FIRST_TOLD:,}, and each time that they have doubled, with what was asked for then.",
        },
        "servers": [{"url": settings.PORTAL_ORIGIN}],
        "security": [{"token": []}],
        "paths": {
            "/api/v1/events": _get(
                "events",
                "The newest events that fit, 50 a page",
                "Events",
                [*_of_form(TimelineForm()), _parameter("before", _TEXT, "The place that `next` names.")],
            ),
            "/api/v1/cases/{request_id}": _get(
                "cases",
                "One request from the ask to the end",
                "Case",
                [
                    {
                        "name": "request_id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "format": "uuid"},
                    }
                ],
            ),
            "/api/v1/as-of": _get(
                "as_of",
                "Who had access to what at a minute, 50 a page",
                "AsOf",
                [*_of_form(AsOfForm()), _parameter("after", _TEXT, "The grant that `next` names.")],
            ),
            "/api/v1/openapi.json": _get("", "This description", "Description", []),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _get(scope: str, summary: str, schema: str, parameters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    scoped = f" The token needs the scope `{scope}`." if scope else " Any token will do."
    problems = {
        "401": "No token that counts",
        "403": "A token without the scope",
        "404": "Nothing of that id",
        "422": "A filter that can't be used",
        "429": "Asked too often",
    }
    return {
        "get": {
            "operationId": f"read_{schema.lower()}",
            "summary": summary,
            "description": f"{summary}.{scoped}",
            "parameters": list(parameters),
            "responses": {
                "200": _answer("Found", "application/json", schema),
                **{status: _answer(words, CONTENT_TYPE, "Problem") for status, words in problems.items()},
            },
        }
    }


def _answer(words: str, content_type: str, schema: str) -> dict[str, Any]:
    return {
        "description": words,
        "content": {content_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _of_form(form: forms.Form) -> Iterator[dict[str, Any]]:
    for name, field in form.fields.items():
        words = str(field.widget.attrs.get("placeholder") or field.label or name)
        yield _parameter(name, _schema_of(field), words)


def _schema_of(field: forms.Field) -> dict[str, Any]:
    if isinstance(field, forms.ChoiceField):
        return {"type": "string", "enum": list(_values(field.choices))}
    if isinstance(field, forms.DateTimeField):
        return {"type": "string", "examples": ["2026-05-01T14:30"]}
    return {"type": "string", "maxLength": getattr(field, "max_length", None) or 128}


def _values(choices: Any) -> Iterator[str]:
    for value, label in choices:
        if isinstance(label, list | tuple):
            yield from _values(label)
        else:
            yield str(value)


def _parameter(name: str, schema: Mapping[str, Any], words: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": words}


def _schemas() -> dict[str, Any]:
    scope = _record("account_id", "account_name", "permission_set_arn", "permission_set_name")
    answer = _object(held=_enum("yes", "possible", "no"), words=_TEXT, since=_MOMENT, until=_MOMENT)
    moments = ("starts_at", "ends_at", "assigned_at", "arrived_at", "out_of_entra_at", "out_of_aws_at")
    grant = _object(
        grant_id=_TEXT, status=_TEXT, **dict.fromkeys((*moments, "last_possible_use_at"), _MOMENT)
    )
    item = _object(
        **dict.fromkeys(("item_id", "status", "pim_group_object_id", "pim_group_name"), _TEXT),
        scope=_list(scope),
        grant={"anyOf": [grant, {"type": "null"}]},
    )
    people = ("person_object_id", "person_name", "pim_group_object_id", "pim_group_name", "grant_id")
    access = _object(
        **dict.fromkeys(people, _TEXT),
        request_ids=_list(_TEXT),
        **dict.fromkeys(("in_entra", "in_aws", "sessions"), answer),
        scope=_list(scope),
        scope_left_out=_NUMBER,
    )
    event = _object(**{name: _EVENT_TYPES.get(name, _TEXT) for name in COLUMNS})
    return {
        "Events": _object(events=_list(_ref("Event")), next=_NEXT),
        "Event": event,
        "Case": _object(
            **dict.fromkeys(("request_id", "requester_object_id", "requester_name"), _TEXT),
            items=_list(item),
            events=_list(_ref("Event")),
            events_cut=_FLAG,
            scope_cut=_FLAG,
        ),
        "AsOf": _object(at=_TEXT, accesses=_list(access), next=_NEXT),
        "Description": _OBJECT,
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                **dict.fromkeys(("type", "title", "detail"), _TEXT),
                "status": _NUMBER,
                "errors": {"type": "object", "additionalProperties": _list(_TEXT)},
            },
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _enum(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def _record(*names: str) -> dict[str, Any]:
    return _object(**dict.fromkeys(names, _TEXT))


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with all of these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
