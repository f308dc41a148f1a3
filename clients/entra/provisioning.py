"""The synchronization job of the enterprise application, through Graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msgraph.generated.models.synchronization_job_application_parameters import (
    SynchronizationJobApplicationParameters,
)
from msgraph.generated.models.synchronization_job_subject import SynchronizationJobSubject
from msgraph.generated.models.synchronization_linked_objects import SynchronizationLinkedObjects
from msgraph.generated.service_principals.item.synchronization.jobs.item.provision_on_demand.provision_on_demand_post_request_body import (  # noqa: E501
    ProvisionOnDemandPostRequestBody,
)

from clients.entra.caller import GraphCaller
from clients.entra.parsing import instant, is_word, span, word
from clients.errors import NotFound
from clients.types import (
    OnDemandOutcome,
    OnDemandResult,
    ProvisioningCode,
    ProvisioningJob,
    Reading,
    Receipt,
)

_PORT = "entra.provisioning"
_BUCKET = "graph-on-demand"
MEMBERS_PER_CALL = 5
_CODES = {code.value.lower(): code for code in ProvisioningCode}
_OUTCOMES = {outcome.value.lower(): outcome for outcome in OnDemandOutcome}


def _decoded(text: Any) -> dict[str, Any]:
    """A JSON object that came as a string; {} for anything else."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _part(holder: dict[str, Any], name: str) -> dict[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def on_demand_result(key: str | None, value: str | None) -> OnDemandResult:
    """Read the pair of JSON texts that provisionOnDemand answers with.

    `key` holds the verdict; `value` may be `{}` and only adds a reason.
    """
    verdict, story = _decoded(key), _decoded(value)
    outcome = _OUTCOMES.get(str(verdict.get("result", "")).lower(), OnDemandOutcome.UNKNOWN)
    details, status = _part(verdict, "details"), _part(story, "statusInfo")
    said = [
        details.get("errorCode") or status.get("errorCode"),
        details.get("errorMessage") or status.get("reason"),
    ]
    reason = ": ".join(str(each) for each in said if each)
    if outcome is OnDemandOutcome.UNKNOWN and not reason:
        reason = "the answer could not be read"
    return OnDemandResult(outcome=outcome, reason=reason[:500])


def job_from(model: Any, *, rule_id: str) -> ProvisioningJob:
    """Our value of an SDK synchronizationJob."""
    status, schedule = model.status, model.schedule
    code = _CODES.get(word(status and status.code).lower(), ProvisioningCode.UNKNOWN)
    if (
        code is ProvisioningCode.ACTIVE
        and schedule
        and word(schedule.state).lower() in ("paused", "disabled")
    ):
        code = ProvisioningCode.PAUSED
    last = status and status.last_execution
    quarantine = status and status.quarantine
    return ProvisioningJob(
        job_id=model.id or "",
        rule_id=rule_id,
        code=code,
        interval=span(schedule and schedule.interval),
        last_cycle_id=(last and last.activity_identifier) or "",
        last_cycle_began_at=instant(last and last.time_began),
        last_cycle_ended_at=instant(last and last.time_ended),
        # A cycle with errors of single entries has still looked at everything; one bad person in the
        # tenant must not keep all other removals unproven.
        last_cycle_completed=bool(last)
        and (is_word(last.state, "Succeeded") or is_word(last.state, "EntryLevelErrors")),
        quarantine_reason=word(quarantine and quarantine.reason),
        next_attempt_at=instant(quarantine and quarantine.next_attempt),
    )


def group_rule(schema: Any) -> str:
    """The id of the synchronization rule that carries groups; "" when there is none."""
    rules = schema.synchronization_rules or []
    for rule in rules:
        for mapping in rule.object_mappings or []:
            if is_word(mapping.source_object_name, "Group") and mapping.enabled is not False:
                return rule.id or ""
    return (rules[0].id or "") if len(rules) == 1 else ""


class GraphProvisioning:
    """Implements clients.ports.EntraProvisioning. The rule's id is cached: reading the schema is heavy."""

    def __init__(self, caller: GraphCaller, *, aws_service_principal_id: str) -> None:
        self._caller = caller
        self._service_principal_id = aws_service_principal_id
        self._rules: dict[str, str] = {}
        self._job_id = ""

    def _jobs(self, client: Any) -> Any:
        principal = client.service_principals.by_service_principal_id(self._service_principal_id)
        return principal.synchronization.jobs

    def _one_job(self, client: Any, job_id: str) -> Any:
        return self._jobs(client).by_synchronization_job_id(job_id)

    def job(self) -> Reading[ProvisioningJob]:
        """See the port. Without any job the code is NOT_CONFIGURED."""
        answer = self._caller.pages("job", self._jobs, port=_PORT)
        # Deleted and re-made jobs may linger; the one that runs is ours.
        ranked = sorted(
            answer.value,
            key=lambda each: word(each.schedule and each.schedule.state).lower() == "disabled",
        )
        if not ranked:
            return Reading(_NO_JOB, answer.receipt)
        chosen = ranked[0]
        self._job_id = chosen.id or ""
        rule_id = self._rules.get(self._job_id)
        if rule_id is None:
            schema = self._caller.item(
                "schema", lambda client: self._one_job(client, self._job_id).schema, port=_PORT
            )
            rule_id = self._rules[self._job_id] = group_rule(schema.value)
        return Reading(job_from(chosen, rule_id=rule_id), answer.receipt)

    def provision_on_demand(
        self, group_id: str, principal_ids: Sequence[str], *, client_request_id: str
    ) -> Reading[OnDemandResult]:
        """See the port.

        Raises:
            ValueError: when there is nobody, or more than five people, to carry.
            NotFound: when the application has no job that carries groups.
        """
        if not 1 <= len(principal_ids) <= MEMBERS_PER_CALL:
            raise ValueError(f"one to five members at a time, not {len(principal_ids)}")
        if not self._job_id or not self._rules.get(self._job_id):
            self.job()
        job_id, rule_id = self._job_id, self._rules.get(self._job_id, "")
        if not job_id or not rule_id:
            raise NotFound(
                "The enterprise application of IAM Identity Center has no provisioning job that carries "
                "groups. An operator must set up automatic provisioning.",
                code="NoProvisioningRule",
                receipt=Receipt(client_request_id),
            )
        body = _on_demand_body(rule_id, group_id, principal_ids)
        try:
            answer = self._caller.post(
                "provision_on_demand",
                lambda client: self._one_job(client, job_id).provision_on_demand,
                body,
                port=_PORT,
                client_request_id=client_request_id,
                bucket=_BUCKET,
            )
        except NotFound:
            self._job_id = ""  # the job was made anew: look for it next time
            raise
        return Reading(on_demand_result(answer.value.key, answer.value.value), answer.receipt)


_NO_JOB = ProvisioningJob(
    job_id="",
    rule_id="",
    code=ProvisioningCode.NOT_CONFIGURED,
    interval=None,
    last_cycle_id="",
    last_cycle_began_at=None,
    last_cycle_ended_at=None,
    last_cycle_completed=False,
    quarantine_reason="",
    next_attempt_at=None,
)


def _on_demand_body(rule_id: str, group_id: str, principal_ids: Sequence[str]) -> Any:
    people = [SynchronizationJobSubject(object_id=each, object_type_name="User") for each in principal_ids]
    group = SynchronizationJobSubject(
        object_id=group_id,
        object_type_name="Group",
        links=SynchronizationLinkedObjects(members=people),
    )
    return ProvisionOnDemandPostRequestBody(
        parameters=[SynchronizationJobApplicationParameters(rule_id=rule_id, subjects=[group])]
    )
