"""Puts worlds together in a few calls; what the sample, the generator and tests share."""

from datetime import timedelta
from typing import Any

from simulator.world.aws_state import (
    Account,
    IdentityCenterState,
    Organization,
    OrganizationalUnit,
    PermissionSet,
    StoreGroup,
)
from simulator.world.clock import WorldClock
from simulator.world.ids import Dice
from simulator.world.pim import Ask, Caller
from simulator.world.pim_rules import Window
from simulator.world.state import EnterpriseApplication, Group, Identity, Job, State, User
from simulator.world.world import World

ADMINISTRATION = Caller(Identity(application_name="Sample data"))
SINCE = timedelta(days=30)  # how long everything has existed when the world begins


def empty_world(
    clock: WorldClock,
    *,
    seed: str = "acme",
    tenant_name: str = "Acme",
    domain: str = "acme.example",
    region: str = "eu-west-1",
    management_account_id: str = "",
    access_portal_url: str = "https://acme.awsapps.com/start",
) -> World:
    """A tenant with the enterprise application of an Identity Center instance, and nobody in it."""
    dice = Dice(seed)
    born = clock.now() - SINCE
    tenant_id = dice.named_guid("tenant")
    management = management_account_id or dice.named_digits("management account", 12)
    instance = "ssoins-" + dice.named_hex("instance", 16)
    scim_tenant = dice.named_hex("scim tenant", 11) + "-" + dice.named_guid("scim tenant")
    rule = dice.named_guid("rule")
    organization_id = "o-" + dice.named_hex("organization", 10)
    state = State(
        seed=seed,
        tenant_id=tenant_id,
        tenant_name=tenant_name,
        foreign_tenant_id=dice.named_guid("foreign tenant"),
        access_portal_url=access_portal_url,
        application=EnterpriseApplication(
            id=dice.named_guid("enterprise application"),
            app_id=dice.named_guid("enterprise application's app"),
            display_name="AWS IAM Identity Center",
        ),
        job=Job(
            id=f"aws.{tenant_id.replace('-', '')}.{dice.named_guid('job')}",
            rule_user=f"{dice.named_guid('user rule')}",
            rule_group=f"{rule}#V2",
        ),
        organization=Organization(
            id=organization_id,
            root_id="r-" + dice.named_hex("root", 4),
            management_account_id=management,
            accounts={
                management: Account(
                    id=management,
                    name=f"{tenant_name} Management",
                    email=f"aws-management@{domain}",
                    parent_id="r-" + dice.named_hex("root", 4),
                    joined_at=born,
                )
            },
        ),
        identity_center=IdentityCenterState(
            instance_arn=f"arn:aws:sso:::instance/{instance}",
            identity_store_id="d-" + dice.named_hex("identity store", 10),
            region=region,
            owner_account_id=management,
            created_at=born,
            external_id_issuer=f"https://scim.aws.com/{dice.named_hex('issuer', 16)}",
            scim_tenant_id=scim_tenant,
            scim_token=dice.named_hex("scim token", 64),
        ),
    )
    return World(state, clock)


class Builder:
    """Fills a world by names instead of ids. Ids belong to the names, so they are the same every time."""

    def __init__(self, world: World) -> None:
        self.world = world

    def user(self, user_principal_name: str, display_name: str, **fields: Any) -> User:
        """A person."""
        return self.world.directory.create_user(
            User(
                id=self.world.dice.named_guid(f"user {user_principal_name}"),
                user_principal_name=user_principal_name,
                display_name=display_name,
                created_at=self.world.now() - SINCE,
                **fields,
            )
        )

    def group(self, display_name: str, *, assigned: bool = False, **fields: Any) -> Group:
        """A security group, on request assigned to the enterprise application."""
        nickname = "".join(c for c in display_name.lower() if c.isalnum())
        group = self.world.directory.create_group(
            Group(
                id=self.world.dice.named_guid(f"group {display_name}"),
                display_name=display_name,
                mail_nickname=nickname,
                created_at=self.world.now() - SINCE,
                **fields,
            )
        )
        if assigned:
            self.world.directory.assign_to_application(group.id).created_at = self.world.now() - SINCE
        return group

    def member(self, group: Group, principal: User | Group) -> None:
        """A permanent member, for as long as anybody remembers."""
        self.world.directory.put_member(group, principal.id, schedule_id=None)
        group.members[principal.id].added_at = self.world.now() - SINCE

    def owner(self, group: Group, person: User) -> None:
        """Somebody who owns the group."""
        self.world.directory.add_owner(group.id, person.id)

    def eligible(
        self,
        group: Group,
        principal: User | Group,
        *,
        ends_in: timedelta | None = None,
        began_before: timedelta = SINCE,
    ) -> None:
        """An eligibility that began in the past; `ends_in` negative: it is over, None: permanent."""
        now = self.world.now()
        span = Window(now - began_before, None if ends_in is None else now + ends_in)
        ask = Ask("adminAssign", group.id, principal.id, justification="Sample data")
        self.world.pim.backdate_eligibility(ask, ADMINISTRATION, span)

    def unit(self, name: str, parent_id: str = "", **tags: str) -> OrganizationalUnit:
        """An OU below the root or another OU."""
        organization = self.world.state.organization
        dice = self.world.dice
        root = organization.root_id.removeprefix("r-")
        unit = OrganizationalUnit(
            id=f"ou-{root}-{dice.named_hex(f'unit {parent_id}/{name}', 8)}",
            name=name,
            parent_id=parent_id or organization.root_id,
            tags=tags,
        )
        organization.units[unit.id] = unit
        return unit

    def account(
        self,
        name: str,
        parent_id: str = "",
        *,
        account_id: str = "",
        email: str = "",
        state: str = "ACTIVE",
        tags: dict[str, str] | None = None,
    ) -> Account:
        """An AWS account in the root or an OU."""
        organization = self.world.state.organization
        account = Account(
            id=account_id or self.world.dice.named_digits(f"account {name}", 12),
            name=name,
            email=email or f"aws-{name.lower().replace(' ', '-')}@acme.example",
            parent_id=parent_id or organization.root_id,
            joined_at=self.world.now() - SINCE,
            state=state,
            tags=dict(tags or {}),
        )
        organization.accounts[account.id] = account
        return account

    def permission_set(self, name: str, *, managed: tuple[str, ...] = (), **content: Any) -> PermissionSet:
        """A permission set; AWS managed policies by ARN."""
        policies = {arn: arn.rsplit("/", 1)[-1] for arn in managed}
        made = self.world.identity_center.put_permission_set(name, managed_policies=policies, **content)
        made.created_at = self.world.now() - SINCE
        return made

    def assign(self, group: Group, permission_set: PermissionSet, account: Account) -> None:
        """An account assignment of a provisioned group. Raises LookupError before the initial cycle."""
        self.world.identity_center.assign(account.id, permission_set.arn, self.store_group(group).id)

    def store_group(self, group: Group) -> StoreGroup:
        """The group in the identity store. Raises LookupError while it isn't there."""
        found = self.world.identity_store.find_group_by_external_id(group.id)
        if found is None:
            raise LookupError(f"{group.display_name} isn't provisioned")
        return found

    def provision(self) -> None:
        """The initial cycle, as if it had run a while ago; the next one comes in due time."""
        self.world.provisioning.begin()
        self.world.provisioning.settle()
