"""Groups, users and the enterprise application through the Graph front."""

from pathlib import Path

import pytest

from simulator.entra.graph import permissions
from tests.simulator.entra.graph.running import RunningGraph, running_graph
from tests.simulator.entra.graph.small_world import (
    ADA,
    ADMINS,
    APPLICATION,
    BEN,
    CAM,
    DOT,
    FREE,
    READERS,
    TEAM,
)
from tests.support.graph_contract import document


def ids(rows: list[dict[str, object]]) -> list[object]:
    return [row["id"] for row in rows]


def test_groups_by_id_and_by_name(graph: RunningGraph) -> None:
    assert len(graph.values("/groups")) == 4
    assert set(ids(graph.values("/groups", filter=f"id in ('{ADMINS}','{TEAM}')"))) == {ADMINS, TEAM}
    assert ids(graph.values("/groups", filter="displayName eq 'AWS - Read Only'")) == [READERS]
    assert ids(graph.values("/groups", filter="startswith(displayName,'AWS')", orderby="displayName")) == [
        ADMINS,
        READERS,
    ]
    group = graph.get(f"/groups/{ADMINS}").json()
    assert group["securityEnabled"] is True
    assert group["isAssignableToRole"] is None


def test_members_and_their_members(graph: RunningGraph) -> None:
    with graph.front.lock:
        graph.world.directory.add_member(READERS, TEAM)
    (row,) = graph.values(f"/groups/{READERS}/members")
    assert row["@odata.type"] == "#microsoft.graph.group"
    people = graph.values(f"/groups/{READERS}/transitiveMembers", select="id,accountEnabled")
    assert set(ids(people)) == {TEAM, BEN, CAM}
    assert {row.get("accountEnabled") for row in people} == {True, None}
    plain = graph.values(f"/groups/{TEAM}/members")
    assert "accountEnabled" not in plain[0]


def test_owners_and_what_is_told_of_them(graph: RunningGraph) -> None:
    directory = graph.world.directory
    with graph.front.lock:
        for each in (BEN, directory.application.id, DOT):
            directory.add_owner(READERS, each)
    path = f"/groups/{READERS}/owners"
    people = graph.values(path, select="id,accountEnabled,displayName")
    assert [(row["id"], row["accountEnabled"]) for row in people] == [(BEN, True), (DOT, False)]
    assert {row["@odata.type"] for row in people} == {"#microsoft.graph.user"}
    graph.world.switches.owners_list_applications = True
    kinds = [str(row["@odata.type"]) for row in graph.values(path)]
    assert [kind.rpartition(".")[2] for kind in kinds] == ["user", "servicePrincipal", "user"]
    least = graph.app_token(["GroupMember.Read.All"])
    (row, *_) = graph.get(path, token=least).json()["value"]
    assert {name for name, value in row.items() if value is not None} == {"@odata.type", "id"}
    assert graph.get(path, token=graph.app_token(["User.Read.All"])).status_code == 403
    directory.group(READERS).on_premises_sync_enabled = True
    assert graph.values(path) == []


def test_user_and_what_must_be_selected(graph: RunningGraph) -> None:
    user = graph.get(f"/users/{DOT}").json()
    assert "accountEnabled" not in user
    selected = graph.get(f"/users/{DOT}", select="id,accountEnabled,userType").json()
    assert selected["accountEnabled"] is False
    assert graph.get("/users/dot@contoso.example").json()["id"] == DOT
    assert graph.get(f"/users/{ADMINS}").json()["error"]["code"] == "Request_ResourceNotFound"
    assert graph.get(f"/users/{DOT}", select="shoeSize").status_code == 400


@pytest.mark.parametrize("most", [20, 50])
def test_check_member_groups(graph: RunningGraph, most: int) -> None:
    graph.world.switches.member_groups_per_call = most
    path = f"/users/{BEN}/checkMemberGroups"
    with graph.front.lock:
        graph.world.directory.add_member(READERS, TEAM)
    answer = graph.post(path, {"groupIds": [TEAM, READERS, ADMINS]})
    assert answer.json()["value"] == [TEAM, READERS]
    with graph.wrong_on_purpose():
        assert graph.post(path, {"groupIds": [TEAM] * 21}).status_code == (400 if most == 20 else 200)
    assert graph.post(f"/users/{ADMINS}/checkMemberGroups", {"groupIds": []}).status_code == 404


def test_enterprise_application_and_who_is_assigned(graph: RunningGraph) -> None:
    app_id = graph.world.directory.application.app_id
    assert ids(graph.values("/servicePrincipals", filter=f"appId eq '{app_id}'")) == [APPLICATION]
    assert graph.get(f"/servicePrincipals/{APPLICATION}").json()["displayName"] == "AWS IAM Identity Center"
    rows = graph.values(f"/servicePrincipals/{APPLICATION}/appRoleAssignedTo")
    assert {row["principalId"] for row in rows} == {ADMINS, READERS}
    assert {row["principalType"] for row in rows} == {"Group"}


def test_owned_permission_reaches_the_owned_application_only(graph: RunningGraph) -> None:
    worker = graph.front.provider.registrations.worker.service_principal_id
    owned = graph.app_token(["Application.ReadWrite.OwnedBy"])
    everything = graph.app_token(["Application.Read.All"])
    assert graph.get(f"/servicePrincipals/{APPLICATION}", token=owned).status_code == 200
    assert graph.get(f"/servicePrincipals/{worker}", token=owned).status_code == 403
    assert graph.get(f"/servicePrincipals/{worker}", token=everything).status_code == 200


def test_small_pages_lose_nothing(tmp_path: Path) -> None:
    with running_graph(tmp_path, page_size=1) as graph:
        assert set(ids(graph.values("/groups"))) == {ADMINS, READERS, TEAM, FREE}
        assert set(ids(graph.values(f"/groups/{TEAM}/members", select="id"))) == {BEN, CAM}
        with graph.front.lock:
            for each in (ADA, BEN):
                graph.world.directory.add_owner(TEAM, each)
        assert ids(graph.values(f"/groups/{TEAM}/owners", select="id")) == [ADA, BEN]


def test_permissions_are_the_contracts() -> None:
    for template, operations in document()["paths"].items():
        for method, operation in operations.items():
            if "x-permissions" not in operation:
                assert f"{method.upper()} {template}" in permissions.BESIDE
                continue
            wanted = operation["x-permissions"]
            held = permissions.accepted()[f"{method.upper()} {template}"]
            for kind, name in (("application", "Application"), ("delegated", "DelegatedWork")):
                given = wanted.get(name, {"least": [], "other": []})
                assert held[kind] == {*given["least"], *given["other"]}, (method, template, kind)


def test_token_problems(graph: RunningGraph) -> None:
    for token in (
        "",
        "not-a-token",
        graph.app_token(lifetime_seconds=-10),
        graph.app_token(audience="https://management.azure.com"),
        graph.app_token(issuer="https://127.0.0.1:1/other/v2.0"),
    ):
        response = graph.get(f"/groups/{ADMINS}", token=token)
        assert response.status_code == 401, token
        assert response.json()["error"]["code"] == "InvalidAuthenticationToken"
        assert response.headers["www-authenticate"].startswith("Bearer")
    lacking = graph.get(f"/groups/{ADMINS}", token=graph.app_token([]))
    assert (lacking.status_code, lacking.json()["error"]["code"]) == (403, "Authorization_RequestDenied")


def test_delegated_token_of_a_person(graph: RunningGraph) -> None:
    mine = graph.user_token(ADA, ["User.Read"])
    assert graph.get("/me", token=mine).json()["id"] == ADA
    assert graph.get("/me").status_code == 403
    with graph.client(mine) as client:
        info = client.get(f"{graph.front.provider.browser_origin}/oidc/userinfo").json()
    assert info["email"] == "ada@contoso.example"
    assert "oid" not in info


def test_unknown_path_has_headers_and_envelope_too(graph: RunningGraph) -> None:
    with graph.client() as client, graph.wrong_on_purpose():
        response = client.get("/teapots", headers={"client-request-id": "mine"})
    assert response.status_code == 400
    assert response.headers["client-request-id"] == "mine"
    assert response.json()["error"]["innerError"]["client-request-id"] == "mine"
