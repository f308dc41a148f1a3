"""CloudTrail's event history, read in each account with a role of that account, two questions a second at most.

Facts used here: LookupEvents takes one attribute, gives fifty events a page, newest first, of the last ninety days,
and is limited to two calls a second for each account and Region (CloudTrail API reference). What an event says about
who acted is from the CloudTrail user guide, "userIdentity element", and from IAM Identity Center's, "CloudTrail use
cases".
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from clients.aws.caller import AwsCaller
from clients.breaker import Breaker
from clients.errors import NotPermitted
from clients.limits import Limiter
from clients.types import Reading, TrailEvent, TrailPage, TrailQuestion

_ATTEMPTS = 1  # whoever reads it waits and tries again by itself
_PAGE = 50  # the service's maximum
_SESSION = 3600  # seconds; roles that are chained last an hour at most
_MARGIN = 300.0  # seconds before the end of a key at which another is taken
_MOST_CALLERS = 16  # accounts and Regions kept at a time
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
# What a Region answers to a key that STS has just given: it doesn't know the account.
_UNKNOWN_THERE = frozenset({"UnrecognizedClientException", "InvalidClientTokenId", "OptInRequired"})
_REGION_IS_OFF = "RegionNotEnabled"


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of a role, and until when (monotonic seconds) it is used."""

    credentials: Mapping[str, str]
    until: float


class Boto3ActivityTrail:
    """Implements clients.ports.ActivityTrail. Safe between threads."""

    def __init__(
        self,
        caller: AwsCaller,
        limiter: Limiter,
        breaker: Breaker | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`caller` is the worker's own; with it roles of other accounts are assumed."""
        self._caller = caller
        self._limiter = limiter
        self._breaker = breaker
        self._now = now
        self._lock = threading.Lock()
        self._keys: dict[str, _Key] = {}
        self._callers: OrderedDict[tuple[str, str], tuple[_Key, AwsCaller]] = OrderedDict()

    def look_up(self, question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        """See the port. A key that AWS calls expired is taken anew, once."""
        try:
            return self._ask(question, page)
        except NotPermitted as error:
            if error.code not in _EXPIRED:
                raise
            with self._lock:
                self._keys.pop(question.account_id, None)
            return self._ask(question, page)

    def _ask(self, question: TrailQuestion, page: str) -> Reading[TrailPage]:
        caller = self._caller_for(question.account_id, question.region)
        arguments: dict[str, Any] = {
            "StartTime": question.starts_at,
            "EndTime": question.ends_at,
            "MaxResults": _PAGE,
        }
        if question.attribute:
            arguments["LookupAttributes"] = [
                {"AttributeKey": question.attribute, "AttributeValue": question.value}
            ]
        if page:
            arguments["NextToken"] = page
        try:
            answer = caller.one("cloudtrail", "lookup_events", **arguments)
        except NotPermitted as error:
            if error.code in _EXPIRED:
                raise
            raise self._refused(question, error) from error
        rows = answer.value.get("Events") or []
        found = [event for event in map(_event, rows) if event is not None]
        following = str(answer.value.get("NextToken") or "")
        return Reading(TrailPage(tuple(found), following, len(rows) - len(found)), answer.receipt)

    def _refused(self, question: TrailQuestion, error: NotPermitted) -> NotPermitted:
        """Which account and Region it was, and what to do about it."""
        where = f"account {question.account_id}"
        if error.code in _UNKNOWN_THERE:
            sentence = (
                f"The Region {question.region} isn't enabled in {where}, so nothing was read there. Nobody can act there "
                "either; take the Region out of ACTIVITY_REGIONS if no account has it."
            )
            return NotPermitted(sentence, code=_REGION_IS_OFF, receipt=error.receipt)
        sentence = (
            f"The role {self._caller.config.activity_role} may not look events up in {where}, Region {question.region} "
            f"({error.code}). An operator must check its policy and the organisation's."
        )
        return NotPermitted(sentence, code=error.code, receipt=error.receipt)

    def _caller_for(self, account_id: str, region: str) -> AwsCaller:
        key, place = self._key(account_id), (account_id, region)
        with self._lock:
            kept = self._callers.get(place)
            if kept is None or kept[0] is not key:
                caller = AwsCaller(
                    replace(self._caller.config, region=region),
                    self._limiter,
                    attempts=_ATTEMPTS,
                    breaker=self._breaker,
                    credentials=key.credentials,
                    bucket=f"cloudtrail:{account_id}:{region}",
                    circuit=f"CloudTrail in {region}",
                    beside=self._caller,
                )
                kept = self._callers[place] = (key, caller)
                while len(self._callers) > _MOST_CALLERS:
                    self._callers.popitem(last=False)
            self._callers.move_to_end(place)
            return kept[1]

    def _key(self, account_id: str) -> _Key:
        """A key of the account's role; kept until shortly before its end."""
        with self._lock:
            kept = self._keys.get(account_id)
        if kept is not None and self._now() < kept.until:
            return kept
        role, partition = self._caller.config.activity_role, self._caller.partition()
        try:
            answer = self._caller.one(
                "sts",
                "assume_role",
                RoleArn=f"arn:{partition}:iam::{account_id}:role/{role}",
                RoleSessionName="access-portal",
                DurationSeconds=_SESSION,
            )
        except NotPermitted as error:
            raise NotPermitted(
                f"The worker may not use the role {role} of account {account_id} ({error.code}). An operator must deploy "
                "it there; docs/permissions.md says how.",
                code=error.code,
                receipt=error.receipt,
            ) from error
        given = answer.value["Credentials"]
        made = _Key(
            {
                "aws_access_key_id": str(given["AccessKeyId"]),
                "aws_secret_access_key": str(given["SecretAccessKey"]),
                "aws_session_token": str(given["SessionToken"]),
            },
            self._now() + _SESSION - _MARGIN,
        )
        with self._lock:
            self._keys[account_id] = made
        return made


def _event(row: Mapping[str, Any]) -> TrailEvent | None:
    """One event by its record, or None when that can't be read."""
    try:
        record = json.loads(row["CloudTrailEvent"])
        identity = _of(record, "userIdentity")
        context = _of(identity, "sessionContext")
        details = _of(record, "serviceEventDetails")
        at = row.get("EventTime") or datetime.fromisoformat(record["eventTime"])
        return TrailEvent(
            event_id=str(row.get("EventId") or record["eventID"]),
            at=(at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC),
            source=str(record["eventSource"]),
            name=str(record["eventName"]),
            account_id=str(record.get("recipientAccountId") or ""),
            identity_type=str(identity.get("type") or ""),
            principal_id=str(identity.get("principalId") or ""),
            role_arn=str(_of(context, "sessionIssuer").get("arn") or ""),
            store_user_id=str(_of(identity, "onBehalfOf").get("userId") or ""),
            session_started_at=_moment(_of(context, "attributes").get("creationDate")),
            error_code=str(record.get("errorCode") or ""),
            opened_account_id=str(details.get("account_id") or ""),
            opened_permission_set=str(details.get("role_name") or ""),
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _of(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a record; an empty one where it isn't there or null."""
    part: Mapping[str, Any] = holder.get(name) or {}
    return part


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
