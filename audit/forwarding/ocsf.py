"""Events as documents of the Open Cybersecurity Schema Framework (OCSF), in the version of `ocsf_classes`.

What OCSF has no attribute for stands under `unmapped`: nothing of an event is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from audit.forwarding.ocsf_classes import (
    API,
    BASE,
    GROUP,
    OTHER,
    PORTAL,
    SIGN_IN,
    VERSION,
    Meaning,
    meaning_of,
)
from audit.ledger import sentences
from audit.ledger.models import ActorKind, Event, Outcome
from audit.ledger.reading import Entry

LONGEST = 1_000  # characters of one text, where a document is made short
LARGEST = 24_000  # characters of its JSON; beyond, the facts are left out
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_STATUS = {Outcome.DONE: (1, "Success"), Outcome.REFUSED: (2, "Failure"), Outcome.FAILED: (2, "Failure")}
_NOT_RECORDED = "not recorded"
# OpenID Connect has this number in `auth_protocol_id`.
_OPENID = {"auth_protocol_id": 4, "auth_protocol": "OpenID"}


def document(entry: Entry, batch: int | None, *, short: bool = False) -> dict[str, Any]:
    """The event as one OCSF document; `batch` is the sealed batch that holds it.

    `short` is for receivers that take only so much: long texts end early, facts that are too large stay away, and
    `metadata.is_truncated` says so.
    """
    event, meaning = entry.event, meaning_of(entry.event.type)
    status_id, status = _STATUS[Outcome(event.outcome)]
    found: dict[str, Any] = {
        **_class_of(event.type, meaning),
        "time": _milliseconds(event.business_at),
        "severity_id": int(meaning.severity),
        "severity": meaning.severity.name.capitalize(),
        "status_id": status_id,
        "status": status,
        "status_detail": event.outcome,
        "message": sentences.sentence(entry),
        "metadata": _metadata(event),
        "actor": _actor(entry),
        "unmapped": _unmapped(entry, batch),
    }
    if endpoint := _endpoint(event.ip):
        found["src_endpoint"] = endpoint
    if about := _person(event.about_oid, entry.texts.get("about", "")):
        found["user"] = about
    if meaning.ocsf is GROUP:
        found["group"] = _group(entry) or {"name": _NOT_RECORDED}
    elif meaning.ocsf is SIGN_IN:
        found["service"] = {"name": PORTAL}
        found["user"] = _who_signed_in(entry)
        found |= _OPENID
    elif meaning.ocsf is API:
        found["api"] = _api(entry, meaning)
        found.setdefault("src_endpoint", {"svc_name": PORTAL})
        found.pop("user", None)  # which the class has no place for; `unmapped` says whom it is about
        if group := _group(entry):
            found["resources"] = [{**group, "type": "PIM group"}]
    elif meaning.ocsf is BASE:  # which has no place for anybody
        for name in ("actor", "user", "src_endpoint"):
            if name in found:
                found["unmapped"][name] = found.pop(name)
    return _shortened(found) if short else found


def json_line(entry: Entry, batch: int | None, *, short: bool = False) -> str:
    """The document as one line of ASCII, without a line feed: nothing in it can act on whatever prints it."""
    return json.dumps(document(entry, batch, short=short), ensure_ascii=True, separators=(",", ":"))


def _class_of(event_type: str, meaning: Meaning) -> dict[str, Any]:
    ocsf, activity = meaning.ocsf, meaning.activity
    name = ocsf.activities[activity] if activity != OTHER else event_type
    return {
        "category_uid": ocsf.category_uid,
        "category_name": ocsf.category,
        "class_uid": ocsf.uid,
        "class_name": ocsf.name,
        "activity_id": activity,
        "activity_name": name,
        "type_uid": ocsf.uid * 100 + activity,
        "type_name": f"{ocsf.name}: {name if activity != OTHER else 'Other'}",
    }


def _metadata(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {
        "version": VERSION,
        "product": {"name": PORTAL, "vendor_name": PORTAL},
        "log_name": "audit trail",
        "uid": str(event.id),
        "event_code": event.type,
        "logged_time": _milliseconds(event.at),
    }
    if event.request_id:
        found["correlation_uid"] = str(event.request_id)
    return found


def _actor(entry: Entry) -> dict[str, Any]:
    event = entry.event
    if event.actor_kind != ActorKind.PERSON:
        return {"app_name": sentences.actor_name(entry)}
    found: dict[str, Any] = {"user": _person(event.actor_oid, entry.texts.get("actor", ""))}
    if event.session:
        found["session"] = {"uid": event.session}
    return found


def _person(object_id: str, name: str) -> dict[str, Any]:
    given = {"uid": object_id, "name": name}
    return {key: value for key, value in given.items() if value}


def _who_signed_in(entry: Entry) -> dict[str, Any]:
    """The person of a sign-in: whom it is about, who did it, or whom the token of a refused one named."""
    named = str(entry.fields.get("person") or "")
    object_id = entry.event.about_oid or entry.event.actor_oid or named
    name = entry.texts.get("about") or entry.texts.get("actor") or ""
    return _person(object_id, name) or {"name": _NOT_RECORDED}


def _group(entry: Entry) -> dict[str, Any]:
    given = {"uid": entry.event.group_oid, "name": str(entry.fields.get("group_name") or "")}
    return {key: value for key, value in given.items() if value}


def _api(entry: Entry, meaning: Meaning) -> dict[str, Any]:
    found: dict[str, Any] = {"operation": entry.event.type, "service": {"name": meaning.service}}
    if client_request_id := entry.fields.get("client_request_id"):
        found["request"] = {"uid": str(client_request_id)}
    if code := entry.fields.get("code"):
        found["response"] = {"error": str(code)}
    return found


def _endpoint(address: str) -> dict[str, Any]:
    if not address:
        return {}
    try:
        return {"ip": str(ip_address(address))}
    except ValueError:
        return {"name": address}


def _unmapped(entry: Entry, batch: int | None) -> dict[str, Any]:
    event = entry.event
    given = {
        "about_object_id": event.about_oid,
        "about_name": entry.texts.get("about", ""),
        "request_id": str(event.request_id or ""),
        "grant_id": str(event.grant_id or ""),
        "sealed_in_batch": batch,
        "words": {name: text for name, text in entry.texts.items() if name not in ("actor", "about")},
        "facts": dict(entry.fields),
    }
    return {name: value for name, value in given.items() if value not in (None, "", {})}


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _shortened(found: dict[str, Any]) -> dict[str, Any]:
    short: dict[str, Any] = _cut(found)
    if short != found:
        short["metadata"]["is_truncated"] = True
    if len(json.dumps(short)) > LARGEST:
        short["unmapped"] = {
            name: value for name, value in short["unmapped"].items() if name not in ("facts", "words")
        }
        short["metadata"]["is_truncated"] = True
    return short


def _cut(value: Any) -> Any:
    match value:
        case str():
            return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
        case Mapping():
            return {name: _cut(each) for name, each in value.items()}
        case list():
            return [_cut(each) for each in value]
        case _:
            return value
