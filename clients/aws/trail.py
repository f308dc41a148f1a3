"""CloudTrail's event history, read in each account with a role of that account, two questions a second at most.

Facts used here: LookupEvents takes one attribute, gives fifty events a page, newest first, of the last ninety days,
and is limited to two calls a second for each account and Region (CloudTrail API reference).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from clients.aws.accounts import EXPIRED, AccountCallers
from clients.aws.caller import AwsCaller
from clients.aws.records import event_of_text
from clients.breaker import Breaker
from clients.errors import NotPermitted
from clients.limits import Limiter
from clients.types import Reading, TrailPage, TrailQuestion

_PAGE = 50  # the service's maximum
# What a Region answers to a key that STS has just given: it doesn't know the account.
_UNKNOWN_THERE = frozenset({"UnrecognizedClientException", "InvalidClientTokenId", "OptInRequired"})
_REGION_IS_OFF = "RegionNotEnabled"


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
        self._callers = AccountCallers(caller, limiter, breaker, now=now)

    def look_up(self, question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        """See the port. A key that AWS calls expired is taken anew, once."""
        return self._callers.ask(question.account_id, lambda: self._ask(question, page))

    def _ask(self, question: TrailQuestion, page: str) -> Reading[TrailPage]:
        caller = self._callers.caller(
            question.account_id,
            question.region,
            bucket=f"cloudtrail:{question.account_id}:{question.region}",
            circuit=f"CloudTrail in {question.region}",
        )
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
            if error.code in EXPIRED:
                raise
            raise self._refused(question, error) from error
        rows = answer.value.get("Events") or []
        read = [
            event_of_text(
                row.get("CloudTrailEvent"), event_id=str(row.get("EventId") or ""), at=row.get("EventTime")
            )
            for row in rows
        ]
        found = tuple(event for event in read if event is not None)
        following = str(answer.value.get("NextToken") or "")
        return Reading(TrailPage(found, following, len(rows) - len(found)), answer.receipt)

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
            f"The role {self._callers.role} may not look events up in {where}, Region {question.region} "
            f"({error.code}). An operator must check its policy and the organisation's."
        )
        return NotPermitted(sentence, code=error.code, receipt=error.receipt)
