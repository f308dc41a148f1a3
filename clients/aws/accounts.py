"""Callers of other accounts: the activity role of an account is assumed once an hour, and its key kept meanwhile."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from clients.aws.caller import AwsCaller
from clients.breaker import Breaker
from clients.errors import NotPermitted
from clients.limits import Limiter

_ATTEMPTS = 1  # whoever reads waits and tries again by itself
_SESSION = 3600  # seconds; roles that are chained last an hour at most
_MARGIN = 300.0  # seconds before the end of a key at which another is taken
_MOST_CALLERS = 16  # accounts and Regions kept at a time
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of a role, and until when (monotonic seconds) it is used."""

    credentials: Mapping[str, str]
    until: float


class AccountCallers:
    """Calls with the activity role (ACTIVITY_ROLE_NAME) of any account. Safe between threads."""

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
        self._callers: OrderedDict[tuple[str, str, str], tuple[_Key, AwsCaller]] = OrderedDict()

    @property
    def role(self) -> str:
        """Name of the role that is assumed."""
        return self._caller.config.activity_role

    def ask[T](self, account_id: str, question: Callable[[], T]) -> T:
        """What `question` gives; when AWS calls the account's key expired, it is taken anew, once."""
        try:
            return question()
        except NotPermitted as error:
            if error.code not in EXPIRED:
                raise
            with self._lock:
                self._keys.pop(account_id, None)
            return question()

    def caller(self, account_id: str, region: str, *, bucket: str, circuit: str) -> AwsCaller:
        """One of this account and Region, paced by `bucket`.

        Raises:
            clients.errors.NotPermitted: when the role can't be assumed.
        """
        key, place = self._key(account_id), (account_id, region, bucket)
        with self._lock:
            kept = self._callers.get(place)
            if kept is None or kept[0] is not key:
                caller = AwsCaller(
                    replace(self._caller.config, region=region),
                    self._limiter,
                    attempts=_ATTEMPTS,
                    breaker=self._breaker,
                    credentials=key.credentials,
                    bucket=bucket,
                    circuit=circuit,
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
        partition = self._caller.partition()
        try:
            answer = self._caller.one(
                "sts",
                "assume_role",
                RoleArn=f"arn:{partition}:iam::{account_id}:role/{self.role}",
                RoleSessionName="access-portal",
                DurationSeconds=_SESSION,
            )
        except NotPermitted as error:
            raise NotPermitted(
                f"The worker may not use the role {self.role} of account {account_id} ({error.code}). An operator must "
                "deploy it there; docs/permissions.md says how.",
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


__all__ = ["EXPIRED", "AccountCallers"]
