"""From what went wrong at AWS to the port's errors. Every call here reads, so nothing is ever in doubt."""

from __future__ import annotations

from datetime import timedelta

from botocore.exceptions import (
    BotoCoreError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ClientError as AwsError,
)
from botocore.exceptions import (
    ConnectionError as AwsConnectionError,
)

from clients.errors import ClientError, NotFound, NotPermitted, Refused, Throttled, Unreachable
from clients.types import Receipt

DEFAULT_RETRY_AFTER = timedelta(seconds=5)
LONGEST_RETRY_AFTER = timedelta(minutes=15)

_THROTTLED = {
    "ThrottlingException",
    "ThrottledException",
    "Throttling",
    "TooManyRequestsException",
    "MaxConcurrentQueriesException",  # CloudTrail Lake's: ten at a time
    "RequestLimitExceeded",
}
# Another change of the same object is under way. AWS says to try again later; botocore doesn't by itself.
_BUSY = {"ConflictException", "ConcurrentModificationException", "PolicyChangesInProgressException"}
_NOT_PERMITTED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "OptInRequired",
}


def _retry_after(error: AwsError) -> timedelta:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    for text in (error.response.get("RetryAfterSeconds"), headers.get("retry-after")):
        try:
            return min(timedelta(seconds=max(0.0, float(text))), LONGEST_RETRY_AFTER)
        except (TypeError, ValueError):
            continue
    return DEFAULT_RETRY_AFTER


def request_id(response: object) -> str:
    """The vendor's id of the call that gave this answer."""
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    return str(metadata.get("RequestId", ""))


def resource_type(error: ClientError) -> str:
    """What an identity store call did not find: USER, GROUP, GROUP_MEMBERSHIP, IDENTITY_STORE or ""."""
    cause = error.__cause__
    if not isinstance(cause, AwsError):
        return ""
    inner = cause.response.get("Error", {}).get("ResourceType")
    return str(cause.response.get("ResourceType") or inner or "").upper()


def from_aws(error: AwsError, *, operation: str, client_request_id: str) -> ClientError:
    """The port's error for an answer that AWS gave."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    receipt = Receipt(client_request_id, request_id(error.response))
    reason = str(error.response.get("Reason") or "")
    if code in _THROTTLED or status == 429:
        return Throttled("AWS asks to wait.", retry_after=_retry_after(error), code=code, receipt=receipt)
    if code in _BUSY:
        return Throttled(
            "AWS is busy with another change of the same object. The call is tried again.",
            retry_after=_retry_after(error),
            code=code,
            receipt=receipt,
        )
    if code in _NOT_PERMITTED or status in (401, 403):
        return NotPermitted(
            f"AWS doesn't allow the worker {operation} ({reason or code}). "
            "An operator must check the worker's credentials and its IAM policy.",
            code=reason or code,
            receipt=receipt,
        )
    if code.endswith("NotFoundException") or code == "NoSuchEntity":  # IAM has its own word
        return NotFound("AWS doesn't know this object (any more).", code=code, receipt=receipt)
    if status >= 500 or code in ("InternalServerException", "ServiceException"):
        return Unreachable(
            "AWS failed to answer. The call is tried again.", code=code or str(status), receipt=receipt
        )
    return Refused(
        f"AWS refuses {operation} ({code or status}). An operator finds the details by its request id.",
        code=code or str(status),
        receipt=receipt,
    )


def from_botocore(error: BotoCoreError, *, operation: str, client_request_id: str) -> ClientError:
    """The port's error for a call that AWS did not answer."""
    code, receipt = type(error).__name__, Receipt(client_request_id)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return NotPermitted(
            "The worker has no usable AWS credentials. An operator must give it some, "
            "best as a web identity or an instance's own.",
            code=code,
            receipt=receipt,
        )
    if isinstance(error, AwsConnectionError | HTTPClientError):  # time-outs are either
        return Unreachable("AWS can't be reached. The call is tried again.", code=code, receipt=receipt)
    return Refused(f"The call {operation} can't be made ({code}).", code=code, receipt=receipt)
