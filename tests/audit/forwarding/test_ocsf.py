"""OCSF documents are valid by the published schema, whatever the event; every event type says what it is there."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # no stubs in our set
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from audit.forwarding import ocsf
from audit.forwarding.ocsf import LARGEST, document, json_line
from audit.forwarding.ocsf_classes import API, BASE, GROUP, MEANINGS, OTHER, SIGN_IN, VERSION
from tests.audit.forwarding.entries import AT, OID, REQUEST, entry_of, product_types


@cache
def schema() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION))


@cache
def validator(class_uid: int) -> Draft202012Validator:
    made = schema()
    return Draft202012Validator(made.get_class_schema(made.lookup_class_name_from_uid(class_uid)))


def assert_valid(found: dict[str, Any]) -> None:
    errors = [
        f"{error.json_path}: {error.message}" for error in validator(found["class_uid"]).iter_errors(found)
    ]
    assert errors == []


def test_every_event_type_says_what_it_is_and_nothing_else_does() -> None:
    assert set(MEANINGS) == set(product_types())


def test_classes_and_activities_are_named_as_the_schema_names_them() -> None:
    published = get_ocsf_schema(version=VERSION)["classes"].values()
    by_uid = {each["uid"]: each for each in published}
    for ocsf_class in (GROUP, SIGN_IN, API, BASE):
        theirs = by_uid[ocsf_class.uid]
        assert theirs["caption"] == ocsf_class.name
        activities = theirs["attributes"]["activity_id"]["enum"]
        for number, name in ocsf_class.activities.items():
            assert activities[str(number)]["caption"] == name
    for meaning in MEANINGS.values():
        assert meaning.activity in {*meaning.ocsf.activities, OTHER}


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
def test_every_event_is_valid_by_the_published_schema(full: bool) -> None:
    for name in product_types():
        found = document(entry_of(name, full=full), 12 if full else None)
        assert_valid(found)
        assert found["metadata"]["event_code"] == name


def test_an_undeclared_type_is_still_told() -> None:
    found = document(entry_of("grant.ended", type="grant.of_old"), 1)
    assert_valid(found)
    assert (found["class_uid"], found["activity_name"]) == (0, "grant.of_old")


def test_the_schema_would_find_a_fault() -> None:
    found = document(entry_of("grant.arrived"), 1)
    with pytest.raises(AssertionError, match="type_uid"):
        assert_valid(found | {"type_uid": 1})
    del found["group"]
    with pytest.raises(AssertionError, match="group"):
        assert_valid(found)


def test_nothing_of_an_event_is_left_out() -> None:
    found = document(entry_of("grant.revoked", "why"), 12)
    assert found["time"] == int(AT.timestamp() * 1000)
    assert found["metadata"]["correlation_uid"] == str(REQUEST)
    assert found["actor"] == {"user": {"uid": OID, "name": "why"}, "session": {"uid": "0123456789abcdef"}}
    assert found["user"] == {"uid": OID, "name": "why"}
    assert found["src_endpoint"] == {"ip": "192.0.2.1"}
    assert found["unmapped"]["words"] == {"reason": "why"}
    assert found["unmapped"]["facts"] == {
        "group_name": "why",
        "kind": "why",
        "end_reason": "why",
        "acting_as": "why",
    }
    assert found["unmapped"]["sealed_in_batch"] == 12


def test_a_refused_sign_in_names_whom_the_token_named() -> None:
    found = document(
        entry_of("signin.refused", "x", actor_kind="anonymous", actor_oid="", about_oid=""), None
    )
    assert (found["status"], found["user"]["uid"]) == ("Failure", "x")


@pytest.mark.parametrize("address", ["2001:db8::1", "unknown", "fe80::1%eth0"])
def test_an_address_that_is_none_is_a_name(address: str) -> None:
    assert_valid(document(entry_of("signin.succeeded", ip=address), 1))


def test_a_long_one_is_cut_for_those_who_take_no_more_and_says_so() -> None:
    whole, short = (
        document(entry_of("grant.revoked", "x" * 200_000), 1, short=short) for short in (False, True)
    )
    assert "is_truncated" not in whole["metadata"]
    assert short["metadata"]["is_truncated"] is True
    assert len(json.dumps(short)) < LARGEST
    assert_valid(short)
    many = entry_of("catalog.scope_changed", data={"fields": {"added": ["0123456789"] * 10_000}})
    assert len(json_line(many, 1, short=True)) < LARGEST
    assert "facts" not in ocsf.document(many, 1, short=True)["unmapped"]
