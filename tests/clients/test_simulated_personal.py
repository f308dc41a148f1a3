"""PIM as the person: in-process and over HTTP, with tokens from real sign-ins at the simulated Entra."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from clients import errors
from clients.entra.caller import GraphCaller
from clients.entra.config import EntraConfig
from clients.entra.failures import claims_in
from clients.entra.operations import OPERATIONS
from clients.entra.personal import GraphPersonalPim, iso_duration
from clients.entra.pim import GraphPim
from clients.entra.refreshing import refusal
from clients.limits import RATES, LocalLimiter, Rate
from clients.ports import EntraPim, PersonalPim
from clients.types import AssignmentOrder, PersonTokens, PimRequestStatus, RemovalOrder
from simulator.entra.graph.exchange import Exchange
from simulator.entra.registrations import WORKER_PERMISSIONS
from simulator.entra.tls import TlsFiles, ensure_server_tls
from simulator.listener import Listener
from simulator.world.world import World
from tests.simulator.entra.graph.running import running_graph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, BEN, small_world
from tests.simulator.entra.graph.test_delegated import Signing
from tests.simulator.entra.running import CALLBACK, TENANT, FewPeople, RunningEntra
from tests.support.graph_contract import GraphContract
from tests.support.world_clients import world_clients
from tests.support.world_personal import token_for

WRITES = "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"
READS = "PrivilegedAssignmentSchedule.Read.AzureADGroup"


@dataclass(frozen=True)
class Cloud:
    """A world, the ports over it, and signing in."""

    world: World
    personal: PersonalPim
    pim: EntraPim
    sign_in: Callable[..., str]  # a person's refresh token; `context` is proven by the sign-in
    signing: Signing | None  # over HTTP only

    def order(self, *, hours: float = 2, person: str = ADA, **changes: Any) -> AssignmentOrder:
        now = self.world.now()
        order = AssignmentOrder(ADMINS, person, now, now + timedelta(hours=hours), "grant.1", "rotate keys")
        return replace(order, **changes)

    def activate(self, tokens: PersonTokens, **changes: Any) -> Any:
        return self.personal.activate(self.order(**changes), tokens, client_request_id="one").value

    def deactivate(self, tokens: PersonTokens) -> Any:
        order = RemovalOrder(ADMINS, ADA, "grant.1", "done")
        return self.personal.deactivate(order, tokens, client_request_id="two").value


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return ensure_server_tls(Path(tmp_path_factory.getbasetemp()))


class _WorkersToken:
    """The worker's own token with nothing but reading permissions."""

    def __init__(self, signing: Signing) -> None:
        self._signing = signing

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        reads = tuple(READS if each == WRITES else each for each in WORKER_PERMISSIONS)
        return AccessToken(self._signing.graph.app_token(reads), 2**31)


@pytest.fixture
def over_http(tls: TlsFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.getbasetemp() / "graph-keys"
    with ExitStack() as stack:
        graph = stack.enter_context(
            running_graph(folder, secure=Listener(tls=tls), redirect_uris=(CALLBACK,))
        )
        provider = graph.front.provider
        signing = Signing(graph, RunningEntra(provider, FewPeople(), tls))
        config = EntraConfig(
            tenant_id=TENANT,
            client_id=provider.registrations.worker.client_id,
            aws_service_principal_id=graph.world.directory.application.id,
            client_secret="not used",
            authority=provider.authority,
            ca_bundle=str(signing.entra.ca_bundle),
            graph_base_url=graph.front.base_url,
            signin_client_id=provider.registrations.signin.client_id,
            signin_secret=provider.registrations.signin.secret,
        )
        unpaced = {family: Rate(10_000, burst=10_000) for family in RATES}
        caller = GraphCaller(
            config, LocalLimiter(unpaced), read_pauses=(0.01, 0.01), credential=_WorkersToken(signing)
        )
        stack.callback(caller.close)

        def sign_in(person: str = ADA, *, context: str = "") -> str:
            claims: dict[str, Any] | None = None
            if context:
                claims = {"access_token": {"acrs": {"essential": True, "value": context}}}
            return str(signing.sign_in(person, claims=claims)["refresh_token"])

        yield Cloud(graph.world, GraphPersonalPim(caller, config), GraphPim(caller), sign_in, signing)


@pytest.fixture
def in_process() -> Cloud:
    world = small_world()
    clients, _ = world_clients(world)

    def sign_in(person: str = ADA, *, context: str = "") -> str:
        return token_for(person, contexts=[context] if context else [])

    return Cloud(world, clients.personal, clients.pim, sign_in, None)


@pytest.fixture(params=["in_process", "over_http"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    found: Cloud = request.getfixturevalue(request.param)
    return found


def test_a_person_activates_and_ends_it_with_their_own_token(cloud: Cloud) -> None:
    tokens = cloud.personal.sign_in(cloud.sign_in()).value
    assert tokens.refresh_token
    order = cloud.order()
    made = cloud.personal.activate(order, tokens, client_request_id="one")
    assert made.receipt.client_request_id == "one"
    assert (made.value.status, made.value.action.lower()) == (PimRequestStatus.PROVISIONED, "selfactivate")
    assert (made.value.tag, made.value.personal_tag) == ("", "grant.1")
    (held,) = cloud.pim.assignments(ADMINS, principal_id=ADA).value
    assert held.activated
    assert held.ends_at is not None
    assert timedelta(0) <= order.ends_at - held.ends_at < timedelta(seconds=5)
    (asked,) = cloud.pim.requests(ADMINS, ADA).value
    assert (asked.request_id, asked.personal_tag) == (made.value.request_id, "grant.1")
    with pytest.raises(errors.AlreadyAssigned):
        cloud.activate(tokens)
    with pytest.raises(errors.TooYoungToRemove):
        cloud.deactivate(tokens)
    cloud.world.clock.step(timedelta(minutes=6))
    assert cloud.deactivate(tokens).status is PimRequestStatus.REVOKED
    assert cloud.pim.assignments(ADMINS, principal_id=ADA).value == ()
    with pytest.raises(errors.NothingToRemove):
        cloud.deactivate(tokens)


@pytest.mark.parametrize(
    ("needed", "code"), [(True, "RoleAssignmentRequestAcrsValidationFailed"), (False, "UnknownError")]
)
def test_a_context_is_asked_for_and_taken_when_the_sign_in_proves_it(
    cloud: Cloud, needed: bool, code: str
) -> None:
    cloud.world.switches.acrs_needs_capability = needed
    cloud.world.switches.context_refusal_code = code
    cloud.world.policies.change(ADMINS, authentication_context="c2")
    weak = cloud.sign_in()
    with pytest.raises(errors.StepUpRequired) as at_entra:
        cloud.personal.sign_in(weak, context="c2")
    with pytest.raises(errors.StepUpRequired) as at_pim:
        cloud.activate(cloud.personal.sign_in(weak).value)
    for refused in (at_entra, at_pim):
        acrs = json.loads(refused.value.claims)["access_token"]["acrs"]
        assert acrs == {"essential": True, "value": "c2"}
    strong = cloud.personal.sign_in(cloud.sign_in(context="c2"), context="c2").value
    assert cloud.activate(strong).status is PimRequestStatus.PROVISIONED


def test_pim_may_want_an_approval_of_its_own(cloud: Cloud) -> None:
    cloud.world.policies.change(ADMINS, approval_required=True, approver_users=[BEN])
    made = cloud.activate(cloud.personal.sign_in(cloud.sign_in()).value)
    assert made.status is PimRequestStatus.PENDING
    assert cloud.pim.assignments(ADMINS, principal_id=ADA).value == ()


@pytest.mark.parametrize("segment", ["stages", "steps"])
def test_an_approvers_word_is_passed_on_once_and_in_their_own_name(cloud: Cloud, segment: str) -> None:
    cloud.world.switches.approval_segment = segment
    cloud.world.policies.change(ADMINS, approval_required=True, approver_users=[BEN])
    ada = cloud.personal.sign_in(cloud.sign_in()).value
    ben = cloud.personal.sign_in(cloud.sign_in(BEN)).value
    made = cloud.activate(ada)

    def approve(tokens: PersonTokens) -> None:
        cloud.personal.approve(made.request_id, tokens, justification="agreed", client_request_id="three")

    odd = segment == "steps" and cloud.signing is not None  # v1.0's metadata knows no steps
    with cloud.signing.graph.wrong_on_purpose() if odd and cloud.signing else nullcontext():
        with pytest.raises(errors.Refused) as own:
            approve(ada)
        assert not isinstance(own.value, errors.NotPermitted | errors.SignInNeeded)
        approve(ben)
        with pytest.raises(errors.Conflicting):
            approve(ben)
    (stage,) = cloud.world.pim.approval(made.request_id).stages
    assert (stage.reviewed_by, stage.justification) == (BEN, "agreed")
    assert len(cloud.pim.assignments(ADMINS, principal_id=ADA).value) == 1


def test_a_pending_activation_is_withdrawn_by_its_person(cloud: Cloud) -> None:
    cloud.world.policies.change(ADMINS, approval_required=True, approver_users=[BEN])
    tokens = cloud.personal.sign_in(cloud.sign_in()).value
    made = cloud.activate(tokens)
    cloud.personal.withdraw(made.request_id, tokens, client_request_id="four")
    (asked,) = cloud.pim.requests(ADMINS, ADA).value
    assert asked.status is PimRequestStatus.CANCELED
    with pytest.raises(errors.Refused):
        cloud.personal.withdraw(made.request_id, tokens, client_request_id="five")


def test_each_method_sends_what_the_table_says(over_http: Cloud) -> None:
    assert over_http.signing is not None
    sent: set[str] = set()

    def observe(exchange: Exchange) -> None:
        found = GraphContract().operation_of(exchange.method, exchange.path)
        assert found is not None
        sent.add(f"{exchange.method} {found[0]}")

    def sends(method: str, call: Callable[[], object]) -> object:
        sent.clear()
        given = call()
        assert sent == OPERATIONS[f"PersonalPim.{method}"], method
        return given

    over_http.signing.graph.front.observers.append(observe)
    personal, ada = over_http.personal, over_http.sign_in()
    tokens: Any = sends("sign_in", lambda: personal.sign_in(ada).value)
    bens = personal.sign_in(over_http.sign_in(BEN)).value
    over_http.world.policies.change(ADMINS, approval_required=True, approver_users=[BEN])
    made: Any = sends("activate", lambda: over_http.activate(tokens))
    sends("withdraw", lambda: personal.withdraw(made.request_id, tokens, client_request_id="two"))
    again = over_http.activate(tokens)
    sends(
        "approve",
        lambda: personal.approve(again.request_id, bens, justification="agreed", client_request_id="three"),
    )
    over_http.world.clock.step(timedelta(minutes=6))
    sends("deactivate", lambda: over_http.deactivate(tokens))


def test_the_persons_own_reference_is_the_ticket(cloud: Cloud) -> None:
    cloud.world.policies.change(ADMINS, activation_rules=["Justification", "Ticketing"])
    made = cloud.activate(cloud.personal.sign_in(cloud.sign_in()).value, ticket="INC-17")
    assert (made.status, made.personal_tag) == (PimRequestStatus.PROVISIONED, "grant.1")
    (row,) = cloud.world.pim.assignment_requests(group_id=ADMINS, principal_id=ADA)
    assert row.ticket_number == "INC-17"


def test_nobody_activates_for_somebody_else(cloud: Cloud) -> None:
    tokens = cloud.personal.sign_in(cloud.sign_in(BEN)).value
    with pytest.raises(errors.Refused):
        cloud.activate(tokens)
    assert cloud.pim.assignments(ADMINS, principal_id=ADA).value == ()


def test_somebody_who_is_switched_off_must_sign_in_again(cloud: Cloud) -> None:
    token = cloud.sign_in()
    cloud.world.happen("person_disabled", person=ADA)
    with pytest.raises(errors.SignInNeeded):
        cloud.personal.sign_in(token)


# --- Over HTTP only: permissions, revocation, consent


def test_the_worker_needs_no_permission_to_write(over_http: Cloud) -> None:
    order = over_http.order()
    with pytest.raises(errors.NotPermitted):
        over_http.pim.assign(order, client_request_id="as the worker")
    tokens = over_http.personal.sign_in(over_http.sign_in()).value
    assert over_http.activate(tokens).status is PimRequestStatus.PROVISIONED
    (row,) = over_http.world.pim.assignment_requests(group_id=ADMINS, principal_id=ADA)
    assert row.created_by.user_id == ADA
    with pytest.raises(errors.NotPermitted):  # and the next call is the worker's own again
        over_http.pim.assign(order, client_request_id="as the worker")


def test_a_withdrawn_sign_in_is_noticed_before_its_token_is_over(over_http: Cloud) -> None:
    assert over_http.signing is not None
    tokens = over_http.personal.sign_in(over_http.sign_in()).value
    over_http.signing.entra.provider.state.revoke_person(ADA)
    with pytest.raises(errors.StepUpRequired) as challenged:
        over_http.activate(tokens)
    assert "nbf" in json.loads(challenged.value.claims)["access_token"]
    with pytest.raises(errors.SignInNeeded) as gone:
        over_http.personal.sign_in(tokens.refresh_token)
    assert gone.value.code == "AADSTS50173"
    again = over_http.personal.sign_in(over_http.sign_in()).value
    assert over_http.activate(again).status is PimRequestStatus.PROVISIONED


def test_withdrawn_consent_and_a_worker_that_entra_refuses(over_http: Cloud) -> None:
    assert over_http.signing is not None
    registrations = over_http.signing.entra.provider.registrations
    token = over_http.sign_in()
    port: Any = over_http.personal
    stranger = GraphPersonalPim(port._caller, replace(port._config, signin_secret="wrong"))
    with pytest.raises(errors.NotPermitted, match="ENTRA_SIGNIN_WORKER_SECRET"):
        stranger.sign_in(token)
    nobody = GraphPersonalPim(port._caller, replace(port._config, signin_secret=""))
    with pytest.raises(errors.NotPermitted, match="not set"):
        nobody.sign_in(token)
    registrations.set_signin_scopes(("openid", "profile", "offline_access"))
    with pytest.raises(errors.SignInNeeded) as withdrawn:
        over_http.personal.sign_in(token)
    assert withdrawn.value.code == "AADSTS65001"


# --- Reading


def test_a_duration_is_text_that_never_reaches_past_the_end() -> None:
    assert iso_duration(timedelta(hours=1, milliseconds=999)) == "PT3600S"


@pytest.mark.parametrize(
    ("message", "claims"),
    [
        ('&claims={"access_token":{"acrs":{"value":"c1"}}}', {"access_token": {"acrs": {"value": "c1"}}}),
        ("x&claims=%7B%22access_token%22%3A%7B%7D%7D&more=1", {"access_token": {}}),
        ('claims={"a": 1} and words', {"a": 1}),
        ("claims=nonsense", None),
        ("claims=[1]", None),
        ("nothing", None),
    ],
)
def test_claims_are_read_out_of_a_message(message: str, claims: dict[str, Any] | None) -> None:
    assert claims_in(message) == ("" if claims is None else json.dumps(claims))


def test_what_the_token_endpoint_refuses() -> None:
    asked: dict[str, Any] = {"access_token": {}}
    step_up = refusal({"error": "invalid_grant", "error_codes": [50076]}, asked)
    assert isinstance(step_up, errors.StepUpRequired)
    assert json.loads(step_up.claims) == asked
    assert isinstance(
        refusal({"error": "invalid_grant", "error_codes": [700082]}, asked), errors.SignInNeeded
    )
    for error in ("invalid_client", "invalid_request", "unsupported_grant_type", "what nobody knows"):
        assert isinstance(refusal({"error": error}, asked), errors.NotPermitted), error
    # Nothing is said of the person's token, which is deleted when it is refused.
    for answer in (
        {},
        {"error": "temporarily_unavailable", "error_codes": [90033]},
        {"error": "server_error"},
    ):
        assert isinstance(refusal(answer, asked), errors.Unreachable), answer


def test_secrets_show_nowhere() -> None:
    assert "secret" not in repr(PersonTokens("secret", "secret"))
