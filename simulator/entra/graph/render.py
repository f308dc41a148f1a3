"""The world's objects as Graph writes them."""

import json
from datetime import datetime
from typing import Any

from simulator.entra.registrations import Registration
from simulator.world.state import (
    AppRoleAssignment,
    ApprovalStage,
    EnterpriseApplication,
    Execution,
    Expiration,
    Group,
    Identity,
    Job,
    Policy,
    ProvisioningLogRow,
    Quarantine,
    Schedule,
    ScheduleRequest,
    User,
)

NEVER = "0001-01-01T00:00:00Z"
USER_DEFAULT = (
    "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName",
)  # fmt: skip
"""What Graph returns of a user without `$select`; `accountEnabled` is not among it."""


def moment(value: datetime | None) -> str | None:
    """A timestamp with Graph's seven fraction digits."""
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def user(value: User) -> dict[str, Any]:
    """Every property of a user that this front knows."""
    return {
        "id": value.id,
        "displayName": value.display_name,
        "givenName": value.given_name,
        "surname": value.surname,
        "userPrincipalName": value.user_principal_name,
        "mail": value.mail,
        "businessPhones": [],
        "jobTitle": value.job_title,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "accountEnabled": value.account_enabled,
        "userType": value.user_type,
        "department": value.department,
        "employeeId": value.employee_id,
        "onPremisesExtensionAttributes": {
            f"extensionAttribute{number}": value.extension_attributes.get(f"extensionAttribute{number}")
            for number in range(1, 16)
        },
        "createdDateTime": moment(value.created_at),
        "deletedDateTime": None,
    }


def group(value: Group) -> dict[str, Any]:
    """Every property of a group that this front knows."""
    return {
        "id": value.id,
        "deletedDateTime": None,
        "createdDateTime": moment(value.created_at),
        "displayName": value.display_name,
        "description": value.description,
        "groupTypes": list(value.group_types),
        "isAssignableToRole": True if value.is_assignable_to_role else None,
        "mail": None,
        "mailEnabled": value.mail_enabled,
        "mailNickname": value.mail_nickname,
        "membershipRule": value.membership_rule,
        "onPremisesSyncEnabled": value.on_premises_sync_enabled,
        "securityEnabled": value.security_enabled,
        "visibility": None,
    }


def directory_object(value: User | Group) -> dict[str, Any]:
    """A member of a group, with its type."""
    if isinstance(value, User):
        full = user(value)
        return {"@odata.type": "#microsoft.graph.user", **full}
    return {"@odata.type": "#microsoft.graph.group", **group(value)}


def service_principal_object(row: dict[str, Any]) -> dict[str, Any]:
    """A service principal among a group's owners, with its type."""
    return {"@odata.type": "#microsoft.graph.servicePrincipal", **row}


def _service_principal(*, object_id: str, app_id: str, name: str, tenant_id: str) -> dict[str, Any]:
    return {
        "id": object_id,
        "deletedDateTime": None,
        "accountEnabled": True,
        "appDisplayName": name,
        "appId": app_id,
        "appOwnerOrganizationId": tenant_id,
        "appRoleAssignmentRequired": True,
        "appRoles": [],
        "displayName": name,
        "servicePrincipalNames": [app_id],
        "servicePrincipalType": "Application",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
        "keyCredentials": [],
        "passwordCredentials": [],
    }


def enterprise_application(value: EnterpriseApplication, tenant_id: str) -> dict[str, Any]:
    """The service principal of IAM Identity Center."""
    return _service_principal(
        object_id=value.id, app_id=value.app_id, name=value.display_name, tenant_id=tenant_id
    )


def registration(value: Registration, tenant_id: str) -> dict[str, Any]:
    """The service principal of one of the portal's app registrations."""
    return _service_principal(
        object_id=value.service_principal_id,
        app_id=value.client_id,
        name=value.display_name,
        tenant_id=tenant_id,
    )


def app_role_assignment(
    value: AppRoleAssignment, application: EnterpriseApplication, principal_name: str
) -> dict[str, Any]:
    """A principal assigned to the enterprise application."""
    return {
        "id": value.id,
        "deletedDateTime": None,
        "appRoleId": value.app_role_id,
        "createdDateTime": moment(value.created_at),
        "principalDisplayName": principal_name,
        "principalId": value.principal_id,
        "principalType": value.principal_type,
        "resourceDisplayName": application.display_name,
        "resourceId": application.id,
    }


def _identity(object_id: str | None, name: str | None) -> dict[str, Any]:
    return {"displayName": name, "id": object_id}


def _created_by(value: Identity) -> dict[str, Any]:
    application = _identity(value.application_id, value.application_name)
    if value.user_id is None:
        return {"application": application, "device": None, "user": _identity(value.application_id, None)}
    return {"application": application, "device": None, "user": _identity(value.user_id, value.user_name)}


def _schedule_info(start: datetime | None, expiration: Expiration) -> dict[str, Any]:
    return {
        "startDateTime": moment(start),
        "recurrence": None,
        "expiration": {
            "type": expiration.type,
            "duration": expiration.duration,
            "endDateTime": moment(expiration.end),
        },
    }


def schedule_request(value: ScheduleRequest, *, echo_ticket: bool) -> dict[str, Any]:
    """An assignment or eligibility schedule request."""
    ticket = (value.ticket_number, value.ticket_system) if echo_ticket else (None, None)
    return {
        "id": value.id,
        "status": value.status,
        "createdDateTime": moment(value.created_at),
        "completedDateTime": moment(value.completed_at),
        "approvalId": value.approval_id,
        "customData": value.custom_data,
        "createdBy": _created_by(value.created_by),
        "action": value.action,
        "isValidationOnly": value.is_validation_only,
        "justification": value.justification,
        "scheduleInfo": None if value.expiration is None else _schedule_info(value.start, value.expiration),
        "ticketInfo": {"ticketNumber": ticket[0], "ticketSystem": ticket[1]},
        "accessId": value.access_id,
        "groupId": value.group_id,
        "principalId": value.principal_id,
        "targetScheduleId": value.target_schedule_id,
    }


def schedule(value: Schedule) -> dict[str, Any]:
    """A schedule; its end is written as a moment, however it was asked for."""
    kind = "noExpiration" if value.end is None else "afterDateTime"
    body = {
        "id": value.id,
        "createdDateTime": moment(value.created_at),
        "modifiedDateTime": moment(value.modified_at),
        "createdUsing": value.created_using,
        "status": value.status,
        "scheduleInfo": _schedule_info(value.start, Expiration(kind, None, value.end)),
        "principalId": value.principal_id,
        "accessId": value.access_id,
        "groupId": value.group_id,
        "memberType": value.member_type.capitalize(),
    }
    if value.kind == "assignment":
        body["assignmentType"] = value.assignment_type.capitalize()
    return body


def instance(value: Any) -> dict[str, Any]:
    """A schedule instance. The casing of the enums is the examples', not the metadata's."""
    body = {
        "id": value.id,
        "principalId": value.principal_id,
        "startDateTime": moment(value.start),
        "endDateTime": moment(value.end),
        "accessId": value.access_id,
        "groupId": value.group_id,
        "memberType": value.member_type.capitalize(),
    }
    if value.kind == "assignment":
        body["assignmentType"] = value.assignment_type.capitalize()
        body["assignmentScheduleId"] = value.schedule_id
    else:
        body["eligibilityScheduleId"] = value.schedule_id
    return body


def approval_stage(value: ApprovalStage, *, assigned: bool, reviewer: str | None) -> dict[str, Any]:
    """One stage of an approval; `assigned`: the caller decides on it, `reviewer`: the name of who did."""
    return {
        "id": value.id,
        "assignedToMe": assigned,
        "displayName": None,
        "justification": value.justification or "",
        "reviewedBy": None if value.reviewed_by is None else _identity(value.reviewed_by, reviewer),
        "reviewedDateTime": moment(value.reviewed_at),
        "reviewResult": value.review_result,
        "status": value.status,
    }


def policy(
    policy_id: str, group_id: str, value: Policy, rules: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """The policy of one group and access, with its rules when expanded."""
    body: dict[str, Any] = {
        "id": policy_id,
        "displayName": "Group",
        "description": "Group",
        "isOrganizationDefault": False,
        "scopeId": group_id,
        "scopeType": "Group",
        "lastModifiedDateTime": moment(value.modified_at),
        "lastModifiedBy": {"displayName": None, "id": None},
    }
    if rules is not None:
        body["rules"] = rules
    return body


def _execution(value: Execution | None) -> dict[str, Any] | None:
    if value is None:
        return None
    error = None
    if value.error_code is not None:
        error = {"code": value.error_code, "message": value.error_message, "tenantActionable": True}
    return {
        "activityIdentifier": value.id,
        "countEntitled": value.entitled,
        "countEntitledForProvisioning": value.entitled,
        "countEscrowed": value.escrowed,
        "countEscrowedRaw": value.escrowed,
        "countExported": value.exported,
        "countExports": value.exported,
        "countImported": value.imported,
        "countImportedDeltas": value.imported,
        "countImportedReferenceDeltas": 0,
        "error": error,
        "state": value.state,
        "timeBegan": moment(value.began_at),
        "timeEnded": moment(value.ended_at),
    }


def _quarantine(value: Quarantine | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "currentBegan": moment(value.began_at),
        "nextAttempt": moment(value.next_attempt_at),
        "reason": value.reason,
        "seriesBegan": moment(value.began_at),
        "seriesCount": value.series_count,
        "error": {
            "code": value.error_code or "Unknown",
            "message": value.error_message or value.reason,
            "tenantActionable": True,
        },
    }


def job(value: Job, *, interval: str, template_id: str) -> dict[str, Any]:
    """The synchronization job with its status."""
    states = {"Paused": "Paused", "NotRun": "Disabled"}
    last_steady = value.last_successful.ended_at if value.last_successful else None
    return {
        "id": value.id,
        "templateId": template_id,
        "schedule": {
            "expiration": None,
            "interval": interval,
            "state": "Disabled" if value.disabled else states.get(value.code, "Active"),
        },
        "status": {
            "code": value.code,
            "countSuccessiveCompleteFailures": value.failures_in_row,
            "escrowsPruned": False,
            "lastExecution": _execution(value.last),
            "lastSuccessfulExecution": _execution(value.last_successful),
            "lastSuccessfulExecutionWithExports": _execution(value.last_with_exports),
            "progress": [],
            "quarantine": _quarantine(value.quarantine),
            "steadyStateFirstAchievedTime": moment(value.first_steady_at) or NEVER,
            "steadyStateLastAchievedTime": moment(last_steady) or NEVER,
            "synchronizedEntryCountByType": [
                {"key": "User", "value": len(value.exported_users)},
                {"key": "Group", "value": len(value.exported_groups)},
            ],
            "troubleshootingUrl": None,
        },
        "synchronizationJobSettings": [{"name": "QuarantineTooManyDeletesThreshold", "value": "500"}],
    }


def job_schema(value: Job, rule_ids: tuple[str, str]) -> dict[str, Any]:
    """The job's schema: one rule per kind of object, each with its object mapping."""

    def rule(rule_id: str, name: str, priority: int, kinds: list[str]) -> dict[str, Any]:
        return {
            "id": rule_id,
            "name": name,
            "priority": priority,
            "editable": True,
            "sourceDirectoryName": "Azure Active Directory",
            "targetDirectoryName": "AWS",
            "groupFilter": None,
            "containerFilter": None,
            "metadata": [],
            "objectMappings": [
                {
                    "enabled": True,
                    "flowTypes": "Add, Update, Delete",
                    "metadata": [],
                    "name": f"Synchronize {kind.lower()}s",
                    "sourceObjectName": kind,
                    "targetObjectName": kind,
                    "scope": None,
                    "attributeMappings": [],
                }
                for kind in kinds
            ],
        }

    of_users, of_groups = rule_ids
    if of_users == of_groups:
        rules = [rule(of_users, "USER_OUTBOUND_USER", 1, ["User", "Group"])]
    else:
        rules = [
            rule(of_users, "USER_OUTBOUND_USER", 1, ["User"]),
            rule(of_groups, "GROUP_OUTBOUND_GROUP", 2, ["Group"]),
        ]
    return {"id": value.id, "version": "v1", "directories": [], "synchronizationRules": rules}


def on_demand(key: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Both halves of the answer are JSON documents written into strings."""
    return {"key": json.dumps(key), "value": json.dumps(value)}


def log_row(
    row: ProvisioningLogRow, *, tenant_id: str, job_id: str, application: EnterpriseApplication
) -> dict[str, Any]:
    """A row of the provisioning log."""
    failed = row.status == "failure"
    error = None
    if row.error_code is not None:
        error = {
            "errorCode": row.error_code,
            "reason": row.reason,
            "additionalDetails": None,
            "errorCategory": "nonServiceFailure" if failed else "success",
            "recommendedAction": None,
        }
    return {
        "id": row.id,
        "activityDateTime": moment(row.at),
        "tenantId": tenant_id,
        "jobId": job_id,
        "cycleId": row.cycle_id,
        "changeId": row.change_id,
        "provisioningAction": row.action,
        "durationInMilliseconds": row.milliseconds,
        "servicePrincipal": {"id": application.id, "displayName": application.display_name},
        "initiatedBy": {
            "id": "",
            "displayName": "Azure AD Provisioning Service",
            "initiatorType": "system",
        },
        "sourceIdentity": {
            "id": row.source_id,
            "displayName": row.source_name,
            "identityType": row.source_type,
            "details": {},
        },
        "targetIdentity": {
            "id": row.target_id,
            "displayName": "",
            "identityType": row.source_type,
            "details": {},
        },
        "sourceSystem": {"id": tenant_id, "displayName": "Microsoft Entra ID", "details": {}},
        "targetSystem": {
            "id": job_id,
            "displayName": "AWS",
            "details": {"ServicePrincipalId": application.id},
        },
        "provisioningStatusInfo": {"status": row.status, "errorInformation": error},
        "provisioningSteps": [
            {
                "name": "EntryExportUpdate",
                "provisioningStepType": "export",
                "status": row.status,
                "description": row.reason or f"{row.source_type} was processed: {row.action}",
                "details": {"ReportableIdentifier": row.source_name},
            }
        ],
        "modifiedProperties": [
            {
                "displayName": each.get("displayName"),
                "oldValue": each.get("oldValue"),
                "newValue": each.get("newValue"),
            }
            for each in row.modified
        ],
    }
