"""SCIM over HTTP: IAM Identity Center's profile with its limits and its deviations."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from simulator.aws.throttles import Throttles
from simulator.scim.errors import ScimError
from simulator.scim.service import ENTERPRISE, GROUP, USER, parse_filter
from tests.simulator.scim.conftest import Answer, Endpoint
from tests.simulator.world.factory import Small

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def user(name: str = "eve@acme.example", **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "schemas": [USER],
        "userName": name,
        "displayName": "Eve Park",
        "name": {"givenName": "Eve", "familyName": "Park"},
        "emails": [{"value": name, "type": "work", "primary": True}],
        "externalId": "e-1",
        "active": True,
    }
    return {**body, **changes}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


def made(scim: Endpoint, **changes: Any) -> str:
    answer = scim.call("POST", "Users", user(**changes))
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


# ---------------------------------------------------------------- access


def test_the_token_and_the_tenant_are_needed(scim: Endpoint) -> None:
    assert scim.call("GET", "Users").status_code == 200
    scim.token = "wrong"
    refused = scim.call("GET", "Users")
    assert refused.status_code == 401
    assert refused.mimetype == "application/scim+json"
    assert refused.json["schema"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


def test_another_tenant_is_unauthorized(scim: Endpoint) -> None:
    scim.tenant = "abc"
    assert scim.call("GET", "Users").status_code == 401


def test_an_expired_token_is_unauthorized(small: Small, scim: Endpoint) -> None:
    small.world.happen("scim_token_expired")
    assert scim.call("GET", "Groups").status_code == 401


def test_it_describes_itself(scim: Endpoint) -> None:
    config = scim.call("GET", "ServiceProviderConfig").json
    assert config["filter"] == {"supported": True, "maxResults": 100}
    assert config["bulk"]["supported"] is False
    assert [row["id"] for row in scim.call("GET", "ResourceTypes").json["Resources"]] == ["User", "Group"]
    assert {row["id"] for row in scim.call("GET", "Schemas").json["Resources"]} == {USER, GROUP, ENTERPRISE}


@pytest.mark.parametrize("path", ["Me", "Bulk", ".search", "Nonsense"])
def test_what_aws_leaves_out_is_not_found(scim: Endpoint, path: str) -> None:
    assert scim.call("POST", path, {}).status_code == 404


# ---------------------------------------------------------------- users


def test_a_user_is_created_read_and_deleted(small: Small, scim: Endpoint) -> None:
    user_id = made(scim)
    found = scim.call("GET", f"Users/{user_id}").json
    assert (found["userName"], found["externalId"], found["active"]) == ("eve@acme.example", "e-1", True)
    assert small.world.identity_store.user(user_id).given_name == "Eve"
    assert scim.call("DELETE", f"Users/{user_id}").status_code == 204
    assert scim.call("GET", f"Users/{user_id}").status_code == 404


def test_a_taken_user_name_is_a_conflict(scim: Endpoint) -> None:
    made(scim)
    answer = scim.call("POST", "Users", user(name="EVE@acme.example"))
    assert (answer.status_code, answer.json["exceptionType"]) == (409, "ConflictException")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": {"givenName": "Eve"}},
        {"name": None},
        {"displayName": ""},
        {"userName": None},
        {"emails": [{"value": "a@b", "primary": True}, {"value": "c@d"}]},
        {"emails": [{"value": "a@b"}]},
        {"phoneNumbers": [{"value": "1"}, {"value": "2"}]},
        {"password": "secret"},
        {"groups": [{"value": "x"}]},
    ],
)
def test_what_the_profile_refuses(scim: Endpoint, changes: dict[str, Any]) -> None:
    answer = scim.call("POST", "Users", {**user(), **changes})
    assert (answer.status_code, answer.json["exceptionType"]) == (400, "ValidationException")


def test_a_body_that_is_no_object_is_refused(scim: Endpoint) -> None:
    assert scim.call("POST", "Users", [1]).status_code == 400


def test_a_user_is_changed_by_patch_and_put(small: Small, scim: Endpoint) -> None:
    user_id = made(scim)
    answer = scim.call(
        "PATCH",
        f"Users/{user_id}",
        patch(
            {"op": "Replace", "path": "active", "value": "False"},
            {"op": "replace", "path": "name.familyName", "value": "Stone"},
            {"op": "add", "path": 'emails[type eq "work"].value', "value": "eve.stone@acme.example"},
            {"op": "add", "path": f"{ENTERPRISE}:department", "value": "Data"},
            {"op": "replace", "value": {"displayName": "Eve Stone", "title": "Engineer"}},
        ),
    )
    assert answer.status_code == 200
    assert (answer.json["active"], answer.json["displayName"]) == (False, "Eve Stone")
    stored = small.world.identity_store.user(user_id)
    assert (stored.family_name, stored.email, stored.title) == ("Stone", "eve.stone@acme.example", "Engineer")
    assert stored.attributes[ENTERPRISE] == {"department": "Data"}
    assert stored.revision == 2
    assert scim.call("PUT", f"Users/{user_id}", user(active=True)).json["name"]["familyName"] == "Park"


def test_a_patch_that_breaks_the_user_changes_nothing(small: Small, scim: Endpoint) -> None:
    user_id = made(scim)
    operations = patch(
        {"op": "replace", "path": "title", "value": "Chief"}, {"op": "remove", "path": "name.givenName"}
    )
    assert scim.call("PATCH", f"Users/{user_id}", operations).status_code == 400
    assert small.world.identity_store.user(user_id).title is None


def test_users_are_found_by_filter_and_paged(scim: Endpoint) -> None:
    assert scim.call("GET", "Users").json["totalResults"] == 2
    found = scim.call("GET", "Users", filter='userName eq "ADA@acme.example"').json
    assert found["totalResults"] == 1
    assert scim.call("GET", "Users", filter='userName co "ada"').status_code == 400
    assert scim.call("GET", "Users", filter='title eq "x"').status_code == 400
    second = scim.call("GET", "Users", startIndex=2, count=1).json
    assert (second["startIndex"], second["itemsPerPage"], second["totalResults"]) == (2, 1, 2)
    first = scim.call("GET", "Users", cursor="", count=1).json
    rest = scim.call("GET", "Users", cursor=first["nextCursor"], count=1).json
    assert "nextCursor" not in rest
    assert first["Resources"][0]["id"] != rest["Resources"][0]["id"]
    for wrong in ({"count": 101}, {"count": 0}, {"count": "x"}, {"cursor": "nonsense"}):
        assert scim.call("GET", "Users", **wrong).status_code == 400


# ---------------------------------------------------------------- groups


def test_members_are_never_shown_but_can_be_asked_for(small: Small, scim: Endpoint) -> None:
    group, ada = small.builder.store_group(small.baseline), small.user_id_in_store(small.ada)
    assert scim.call("GET", f"Groups/{group.id}").json["members"] == []
    asked = f'id eq "{group.id}" and members eq "{ada}"'
    assert scim.call("GET", "Groups", filter=asked).json["totalResults"] == 1
    assert scim.call("GET", "Groups", filter=f'members.value eq "{ada}"').json["totalResults"] == 1
    other = small.builder.store_group(small.group).id
    asked = f'id eq "{other}" and members eq "{ada}"'
    assert scim.call("GET", "Groups", filter=asked).json["totalResults"] == 0
    assert scim.call("GET", "Groups", filter=f'externalId eq "{small.group.id}"').json["totalResults"] == 1


def test_members_come_and_go_by_patch(small: Small, scim: Endpoint) -> None:
    group, ada = small.builder.store_group(small.group), small.user_id_in_store(small.ada)
    add = patch({"op": "add", "path": "members", "value": [{"value": ada}]})
    assert scim.call("PATCH", f"Groups/{group.id}", add).status_code == 204
    assert ada in group.members
    remove = patch({"op": "remove", "path": f'members[value eq "{ada}"]'})
    assert scim.call("PATCH", f"Groups/{group.id}", remove).status_code == 204
    assert ada not in group.members


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "members", "value": []},
        {"op": "remove", "path": "members"},
        {"op": "replace", "path": "meta.version", "value": "1"},
        {"op": "move", "path": "members"},
        {"op": "add", "path": "members", "value": [{"value": ""}]},
        {"op": "add", "path": "members", "value": [{"value": "x"}] * 101},
    ],
)
def test_patches_of_groups_that_are_refused(small: Small, scim: Endpoint, operation: dict[str, Any]) -> None:
    group = small.builder.store_group(small.baseline)
    before = set(group.members)
    assert scim.call("PATCH", f"Groups/{group.id}", patch(operation)).status_code == 400
    assert set(group.members) == before


def test_an_unknown_member_is_not_found_and_nothing_changes(small: Small, scim: Endpoint) -> None:
    group, ada = small.builder.store_group(small.group), small.user_id_in_store(small.ada)
    body = patch({"op": "add", "path": "members", "value": [{"value": ada}, {"value": "nobody"}]})
    assert scim.call("PATCH", f"Groups/{group.id}", body).status_code == 404
    assert group.members == {}


def test_groups_are_created_renamed_and_deleted(small: Small, scim: Endpoint) -> None:
    answer = scim.call("POST", "Groups", {"schemas": [GROUP], "displayName": "New", "externalId": "g-1"})
    assert answer.status_code == 201
    group_id = answer.json["id"]
    assert scim.call("POST", "Groups", {"displayName": "new"}).status_code == 409
    assert scim.call("POST", "Groups", {"displayName": " "}).status_code == 400
    rename = patch({"op": "replace", "value": {"displayName": "Newer", "id": group_id}})
    assert scim.call("PATCH", f"Groups/{group_id}", rename).status_code == 204
    assert small.world.identity_store.group(group_id).display_name == "Newer"
    taken = patch({"op": "replace", "path": "displayName", "value": small.group.display_name})
    assert scim.call("PATCH", f"Groups/{group_id}", taken).status_code == 409
    assert scim.call("PUT", f"Groups/{group_id}", {"displayName": "x"}).status_code in (404, 405)
    assert scim.call("DELETE", f"Groups/{group_id}").status_code == 204
    assert scim.call("DELETE", f"Groups/{group_id}").status_code == 404


# ---------------------------------------------------------------- limits, filters


def test_writes_and_reads_have_limits_of_their_own(small: Small) -> None:
    rates = {"scim-write.*": (25.0, 2.0), "scim-read.*": (40.0, 3.0)}
    scim = Endpoint(small, Throttles(rates=rates, clock=lambda: 0.0))
    assert [scim.call("GET", "Users").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert scim.call("GET", "Groups").status_code == 200
    assert [scim.call("POST", "Groups", {}).status_code for _ in range(3)] == [400, 400, 429]


@pytest.mark.parametrize(("as_in_rfc", "member"), [(True, "schemas"), (False, "schema")])
def test_the_form_of_errors_is_a_switch(small: Small, scim: Endpoint, as_in_rfc: bool, member: str) -> None:
    small.world.switches.scim_error_schemas = as_in_rfc
    refused = scim.call("GET", "Users/nobody")
    assert (refused.status_code, "schemas" in refused.json) == (404, as_in_rfc)
    assert refused.json[member] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


@pytest.mark.parametrize("status", [204, 200])
def test_what_a_changed_group_is_answered_with_is_a_switch(small: Small, scim: Endpoint, status: int) -> None:
    small.world.switches.scim_patch_group_status = status
    group = small.builder.store_group(small.group).id
    rename = patch({"op": "replace", "path": "displayName", "value": "Renamed"})
    answer = scim.call("PATCH", f"Groups/{group}", rename)
    assert answer.status_code == status
    assert (answer.json or {"displayName": "Renamed"})["displayName"] == "Renamed"
    assert (answer.json is None) is (status == 204)


@pytest.mark.parametrize(
    ("kind", "there"), [("lose_request", False), ("lose_answer", True), ("error_after", True)]
)
def test_what_is_lost_is_lost_before_or_after_its_effect(
    small: Small, scim: Endpoint, kind: str, there: bool
) -> None:
    small.world.faults.add("scim.POST Users", kind, status=503, message="Later.")
    answer = scim.call("POST", "Users", user())
    if kind == "error_after":
        assert (answer.status_code, answer.json["detail"]) == (503, "Later.")
    else:
        assert (answer.status_code, answer.json) == (500, None), "where there is a connection, it is cut"
    assert scim.call("POST", "Users", user()).status_code == (409 if there else 201)


def test_faults_reach_scim(small: Small, scim: Endpoint) -> None:
    small.world.faults.add("scim.POST Users", "error", status=500)
    assert scim.call("POST", "Users", user()).status_code == 500
    small.world.faults.add("scim.* Users", "throttle")
    assert scim.call("POST", "Users", user()).status_code == 429
    assert scim.call("POST", "Users", user()).status_code == 201


@pytest.mark.parametrize("kind", ["throttle", "error", "error_after"])
def test_a_fault_says_when_to_try_again(small: Small, scim: Endpoint, kind: str) -> None:
    def refused(**settings: Any) -> Answer:
        small.world.faults.add("scim.GET Users", kind, status=429, **settings)
        answer = scim.call("GET", "Users")
        assert answer.status_code == 429
        return answer

    assert refused(retry_after=7).headers["Retry-After"] == "7"
    assert refused(retry_after=0).headers["Retry-After"] == "0"
    before = datetime.now(UTC)
    until = parsedate_to_datetime(refused(retry_after=90, retry_after_date=True).headers["Retry-After"])
    assert timedelta(seconds=88) <= until - before <= timedelta(seconds=120)
    unsaid = refused()
    assert "Retry-After" not in unsaid.headers, "AWS documents none for SCIM"
    assert unsaid.json["exceptionType"] == "ThrottlingException"
    assert refused(code="Busy", message="Later.").json["exceptionType"] == "Busy"


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ('userName eq "a"', {"username": "a"}),
        ('id eq "1" and members eq "2"', {"id": "1", "members": "2"}),
        ('displayName eq "say \\"hi\\""', {"displayname": 'say "hi"'}),
        ('id EQ "1" AND members eq "2"', {"id": "1", "members": "2"}),
    ],
)
def test_filters(text: str, terms: dict[str, str]) -> None:
    assert parse_filter(text) == terms


@pytest.mark.parametrize(
    "text", ["x", 'a ne "1"', 'a eq "1" or b eq "2"', "a eq 1", 'a eq "1" b eq "2"', 'not (a eq "1")']
)
def test_filters_that_are_refused(text: str) -> None:
    with pytest.raises(ScimError):
        parse_filter(text)


@pytest.mark.parametrize("per_second", [0, 30])
def test_membership_changes_have_a_limit_of_their_own_by_a_switch(small: Small, per_second: int) -> None:
    ticks = [0.0]
    scim = Endpoint(small, Throttles(rates={}, clock=lambda: ticks[0]))
    small.world.switches.scim_membership_changes_per_second = per_second
    group = small.builder.store_group(small.group).id
    ids = [made(scim, userName=f"u{number}@acme.example") for number in range(40)]

    def add(some: list[str]) -> int:
        operation = {"op": "add", "path": "members", "value": [{"value": each} for each in some]}
        return scim.call("PATCH", f"Groups/{group}", patch(operation)).status_code

    assert add(ids[:25]) == 204
    assert add(ids[25:35]) == (429 if per_second else 204)
    assert add(ids[35:40]) == 204, "five were left"
    remove = {"op": "remove", "path": f'members[value eq "{ids[0]}"]'}
    assert scim.call("PATCH", f"Groups/{group}", patch(remove)).status_code == (429 if per_second else 204)
    rename = {"op": "replace", "path": "displayName", "value": "Renamed"}
    assert scim.call("PATCH", f"Groups/{group}", patch(rename)).status_code == 204
    ticks[0] += 1.0
    assert scim.call("PATCH", f"Groups/{group}", patch(remove)).status_code == 204
