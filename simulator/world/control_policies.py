"""Service control policies: written at once, acting on sessions a while later (a switch).

`FullAWSAccess` is attached everywhere and can't be detached here, so that only deny statements matter. Sizes and
numbers: AWS contract 4.3 and the quotas of AWS Organizations.
"""

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from simulator.world import iam_policy
from simulator.world.aws_state import ControlPolicy
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World

FULL_ACCESS_ID = "p-FullAWSAccess"
FULL_ACCESS = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
MOST_PER_TARGET = 5


def _constraint(reason: str, message: str) -> WorldError:
    return WorldError(400, "ConstraintViolationException", message, details={"Reason": reason})


class ControlPolicies:
    """The organization's service control policies. What they bind: `Organizations.scope`."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def _policies(self) -> dict[str, ControlPolicy]:
        return self._world.state.organization.policies

    def all(self) -> list[ControlPolicy]:
        """AWS's own first, then oldest first."""
        return [self._full_access(), *self._policies.values()]

    def _full_access(self) -> ControlPolicy:
        organization = self._world.state.organization
        everywhere = [organization.root_id, *organization.units, *organization.accounts]
        about = "Allows access to every operation"
        return ControlPolicy(FULL_ACCESS_ID, "FullAWSAccess", about, FULL_ACCESS, everywhere)

    def policy(self, policy_id: str) -> ControlPolicy:
        """One policy. Raises WorldError PolicyNotFoundException."""
        found = self._full_access() if policy_id == FULL_ACCESS_ID else self._policies.get(policy_id)
        if found is None:
            raise WorldError(400, "PolicyNotFoundException", "You specified a policy that doesn't exist.")
        return found

    def of_target(self, target_id: str) -> list[ControlPolicy]:
        """Policies attached to the root, an OU or an account directly. Raises TargetNotFoundException."""
        self._check_target(target_id)
        return [each for each in self.all() if target_id in each.targets]

    def create(
        self, name: str, description: str, content: str, tags: dict[str, str] | None = None
    ) -> ControlPolicy:
        """A policy, attached to nothing. Raises WorldError for a bad document or a name that is taken."""
        self._check(content)
        self._check_name(name)
        policy_id = f"p-{self._world.dice.hex(10)}"
        created = ControlPolicy(policy_id, name, description, content, tags=dict(tags or {}))
        self._policies[policy_id] = created
        self._changed(created)
        return created

    def update(
        self,
        policy_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        content: str | None = None,
    ) -> ControlPolicy:
        """Change what is given. Raises WorldError PolicyNotFoundException and as `create` does."""
        found = self._own(policy_id)
        if content is not None:
            self._check(content)
        if name is not None and name != found.name:
            self._check_name(name)
        found.name = name if name is not None else found.name
        found.description = description if description is not None else found.description
        found.content = content if content is not None else found.content
        self._changed(found)
        return found

    def delete(self, policy_id: str) -> None:
        """Delete a policy that is attached to nothing. Raises WorldError PolicyInUseException."""
        found = self._own(policy_id)
        if found.targets:
            raise WorldError(400, "PolicyInUseException", "The policy is attached to one or more entities.")
        del self._policies[policy_id]
        if found.acting_targets:
            self._world.state.organization.deleted_policies[policy_id] = found
        self._world.journal("service control policy", f"{found.name} was deleted")

    def attach(self, policy_id: str, target_id: str) -> None:
        """Attach to the root, an OU or an account; at most five each. Raises WorldError."""
        found = self.policy(policy_id)
        if target_id in found.targets:
            raise WorldError(400, "DuplicatePolicyAttachmentException", "The policy is attached already.")
        if len(self.of_target(target_id)) >= MOST_PER_TARGET:
            raise _constraint(
                "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "Too many policies on this target."
            )
        found.targets.append(target_id)
        self._changed(found)

    def detach(self, policy_id: str, target_id: str) -> None:
        """Detach from a target. Raises WorldError PolicyNotAttachedException."""
        self._check_target(target_id)
        found = self.policy(policy_id)
        if found.id == FULL_ACCESS_ID:
            raise _constraint(
                "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "FullAWSAccess stays attached here."
            )
        if target_id not in found.targets:
            raise WorldError(
                400, "PolicyNotAttachedException", "The policy isn't attached to the specified target."
            )
        found.targets.remove(target_id)
        self._changed(found)

    def on_acts(self, policy_id: str, content: str, targets: str) -> None:
        """Due: a change acts on sessions."""
        deleted = self._world.state.organization.deleted_policies
        found = self._policies.get(policy_id) or deleted.get(policy_id)
        if found is None:
            return
        found.acting_content, found.acting_targets = content, json.loads(targets)
        if policy_id in deleted and not found.acting_targets:
            del deleted[policy_id]
        self._world.journal("policy acts", f"The service control policy {found.name} acts as it was written")

    def acting_on(self, account_id: str) -> list[ControlPolicy]:
        """Policies that bind an account now; none bind the management account."""
        scope = self._world.organization.scope(account_id)
        organization = self._world.state.organization
        everything = [*self._policies.values(), *organization.deleted_policies.values()]
        return [each for each in everything if scope.intersection(each.acting_targets)]

    # ------------------------------------------------------------ inside

    def _changed(self, policy: ControlPolicy) -> None:
        acts_at = self._world.now() + timedelta(seconds=self._world.switches.policy_effect_seconds)
        self._world.schedule(
            acts_at,
            "control_policies.acts",
            policy_id=policy.id,
            content=policy.content,
            targets=json.dumps(policy.targets),
        )
        self._world.journal(
            "service control policy", f"{policy.name} was changed, attached to {len(policy.targets)}"
        )

    def _own(self, policy_id: str) -> ControlPolicy:
        found = self.policy(policy_id)
        if found.id == FULL_ACCESS_ID:
            raise WorldError(400, "AccessDeniedException", "AWS manages this policy.")
        return found

    def _check(self, content: str) -> None:
        if len(content) > self._world.switches.control_policy_characters:
            raise _constraint("POLICY_CONTENT_LIMIT_EXCEEDED", "The policy is too long.")
        try:
            iam_policy.parse(content)
        except ValueError as error:
            raise WorldError(
                400,
                "MalformedPolicyDocumentException",
                f"The provided policy document is malformed: {error}.",
            ) from error

    def _check_name(self, name: str) -> None:
        if any(each.name == name for each in self.all()):
            raise WorldError(400, "DuplicatePolicyException", "A policy with the same name already exists.")

    def _check_target(self, target_id: str) -> None:
        organization = self._world.state.organization
        if target_id not in (organization.root_id, *organization.units, *organization.accounts):
            raise WorldError(400, "TargetNotFoundException", "You specified a target that doesn't exist.")
