"""A world of four people and three groups, made for the Graph tests."""

from datetime import UTC, datetime

from simulator.world.aws_state import IdentityCenterState, Organization
from simulator.world.clock import WorldClock
from simulator.world.ids import Dice
from simulator.world.pim import Ask, Caller
from simulator.world.state import (
    AppRoleAssignment,
    EnterpriseApplication,
    Expiration,
    Group,
    Identity,
    Job,
    State,
    User,
)
from simulator.world.world import World
from tests.simulator.entra.running import OTHER_TENANT, TENANT

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DICE = Dice("small")
ADA, BEN, CAM, DOT = (DICE.named_guid(name) for name in ("ada", "ben", "cam", "dot"))
ADMINS, READERS, TEAM, FREE = (DICE.named_guid(name) for name in ("admins", "readers", "team", "free"))
APPLICATION = DICE.named_guid("application")
RULE = "33f7c90d-bf71-41b1-bda6-aaf0ddbee5d8#V2"


def person(object_id: str, name: str, **settings: object) -> User:
    """Somebody of the tenant."""
    user = User(
        id=object_id,
        user_principal_name=f"{name.lower()}@contoso.example",
        display_name=f"{name} Example",
        given_name=name,
        surname="Example",
        mail=f"{name.lower()}@contoso.example",
        created_at=START,
    )
    for key, value in settings.items():
        setattr(user, key, value)
    return user


def small_world() -> World:
    """Ada is eligible for ADMINS, TEAM (Ben, Cam) is eligible for READERS, FREE is not assigned to AWS."""
    groups = [
        Group(ADMINS, "AWS - Amazon EC2 Admin", mail_nickname="ec2admin", created_at=START),
        Group(READERS, "AWS - Read Only", mail_nickname="readonly", created_at=START),
        Group(TEAM, "Team", mail_nickname="team", created_at=START),
        Group(FREE, "Free", mail_nickname="free", created_at=START),
    ]
    application = EnterpriseApplication(APPLICATION, DICE.named_guid("app"), "AWS IAM Identity Center")
    for group in groups[:2]:
        key = f"assignment-{group.id}"
        application.assignments[key] = AppRoleAssignment(
            key, DICE.named_guid("role"), group.id, "Group", START
        )
    state = State(
        seed="small",
        tenant_id=TENANT,
        tenant_name="Contoso",
        application=application,
        job=Job(
            id=f"aws.{TENANT.replace('-', '')}.{DICE.named_guid('job')}",
            rule_user=DICE.named_guid("user rule"),
            rule_group=RULE,
        ),
        organization=Organization("o-example", "r-root", "111111111111"),
        identity_center=IdentityCenterState(
            instance_arn="arn:aws:sso:::instance/ssoins-1111111111111111",
            identity_store_id="d-1111111111",
            region="eu-west-1",
            owner_account_id="111111111111",
            created_at=START,
            external_id_issuer="https://scim.aws.com/11111111111-11111111-1111-1111-1111-111111111111",
            scim_tenant_id="11111111111-11111111-1111-1111-1111-111111111111",
            scim_token="token",
        ),
        access_portal_url="https://contoso.awsapps.com/start",
        users={
            each.id: each
            for each in (
                person(
                    ADA,
                    "Ada",
                    featured="asks for access",
                    featured_order=1,
                    app_roles=["auditor"],
                    manager_id=BEN,
                ),
                person(BEN, "Ben"),
                person(CAM, "Cam"),
                person(DOT, "Dot", account_enabled=False),
            )
        },
        groups={each.id: each for each in groups},
        foreign_users={},
        foreign_tenant_id=OTHER_TENANT,
        managed_group_ids=[ADMINS, READERS],
    )
    world = World(state, WorldClock.stepping(START))
    administrator = Caller(Identity("setup", "Setup"))
    for member in (BEN, CAM):
        world.directory.add_member(TEAM, member)
    for group_id, principal_id in ((ADMINS, ADA), (READERS, TEAM)):
        world.pim.request_eligibility(
            Ask(
                action="adminAssign",
                group_id=group_id,
                principal_id=principal_id,
                expiration=Expiration("afterDuration", "P180D"),
                justification="set up",
            ),
            administrator,
        )
    world.provisioning.begin()
    return world
