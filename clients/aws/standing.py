"""Who the worker is at AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from clients.aws.caller import AwsCaller
from clients.types import AwsIdentity, Reading


class Boto3Standing:
    """The port AwsStanding over STS."""

    def __init__(self, caller: AwsCaller) -> None:
        self._caller = caller

    def identity(self) -> Reading[AwsIdentity]:
        answer = self._caller.one("sts", "get_caller_identity")
        found = AwsIdentity(
            account_id=str(answer.value.get("Account", "")),
            arn=str(answer.value.get("Arn", "")),
            clock_skew=_skew(answer.value),
        )
        return Reading(found, answer.receipt)


def _skew(answer: dict[str, Any]) -> timedelta | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        said = parsedate_to_datetime(str(headers.get("date", "")))
    except ValueError:
        return None
    return said.astimezone(UTC) - datetime.now(UTC)
