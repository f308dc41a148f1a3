"""Calls AWS through boto3: one client per service and process, paced, paged, and free of vendor errors.

botocore's `standard` retries run inside one call. The shared limiter is asked before every attempt, retries
included, so that a throttled worker doesn't eat the budget of the others.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError as AwsError

from clients.aws import failures
from clients.aws.config import AwsConfig
from clients.breaker import Breaker, LocalBreaker, guarded
from clients.errors import Throttled, Unreachable
from clients.limits import Limiter
from clients.observing import watching
from clients.types import Reading, Receipt

_ATTEMPTS = 6


def bucket_for(service: str, operation: str) -> str:
    """What is counted together: all of sso-admin, each identity store operation, all of Organizations, all of STS."""
    return f"{service}:{operation}" if service == "identitystore" else service


class AwsCaller:
    """Safe between threads; builds its clients at first use, and again after a fork."""

    def __init__(
        self,
        config: AwsConfig,
        limiter: Limiter,
        *,
        attempts: int = _ATTEMPTS,
        breaker: Breaker | None = None,
        credentials: Mapping[str, str] | None = None,
        bucket: str = "",
        circuit: str = "",
        beside: AwsCaller | None = None,
    ) -> None:
        """`credentials` are boto3's names of a key of one's own; None leaves it to boto3's usual chain.

        `bucket` and `circuit` take the place of the service's own, for a service that counts otherwise. One that calls
        `beside` another shares the service models that it has read, which take longer to read than a call.
        """
        self.config = config
        self._credentials = dict(credentials or {})
        self._limiter = limiter
        self._bucket, self._circuit = bucket, circuit
        self._beside = beside
        self._breaker: Breaker = breaker or LocalBreaker()
        self._botocore = Config(
            region_name=config.region,
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=5,
            read_timeout=15,
            user_agent_extra="access-portal",
        )
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self._pid = 0
        self._lock = threading.Lock()

    def one(
        self, service: str, method: str, *, client_request_id: str = "", **arguments: Any
    ) -> Reading[dict[str, Any]]:
        """One call. `method` is boto3's name of it, e.g. describe_permission_set; a write names its own id."""
        operation = f"{service}.{method}"
        client_request_id = client_request_id or str(uuid.uuid4())
        with (
            watching("aws", operation, client_request_id=client_request_id) as watched,
            guarded(self._breaker, self._circuit or service),
        ):
            try:
                answer = getattr(self._client(service), method)(**arguments)
            except AwsError as error:
                mapped = failures.from_aws(error, operation=operation, client_request_id=client_request_id)
                if isinstance(mapped, Throttled):
                    self._limiter.hold(
                        self._bucket or bucket_for(service, _camel(method)), mapped.retry_after
                    )
                raise mapped from error
            except BotoCoreError as error:
                raise failures.from_botocore(
                    error, operation=operation, client_request_id=client_request_id
                ) from error
            watched.receipt = Receipt(client_request_id, failures.request_id(answer))
            return Reading(answer, watched.receipt)

    def pages(
        self, service: str, method: str, key: str, *, page_size: int | None = 100, **arguments: Any
    ) -> Reading[tuple[Any, ...]]:
        """Every row of a list call; an empty page may be followed by more. The receipt is the last call's."""
        if page_size:
            arguments["MaxResults"] = page_size
        found: list[Any] = []
        token = ""
        while True:
            answer = self.one(service, method, **arguments)
            found.extend(answer.value.get(key) or [])
            following = answer.value.get("NextToken") or ""
            if not following:
                return Reading(tuple(found), answer.receipt)
            if following == token:
                raise Unreachable(
                    f"AWS keeps sending the same page of {service}.{method}. The call is tried again.",
                    code="EndlessPages",
                    receipt=answer.receipt,
                )
            arguments["NextToken"] = token = following

    def _client(self, service: str) -> Any:
        with self._lock:
            self._begin()
            if service not in self._clients:
                client = self._make(service)
                client.meta.events.register(f"before-send.{service}", self._pace(service))
                self._clients[service] = client
            return self._clients[service]

    def _begin(self) -> None:
        """Forget what another process has made, and make a session; under the lock."""
        if self._pid == os.getpid():
            return
        self._pid, self._clients = os.getpid(), {}
        if self._beside is None:
            # It reads the service models and the credentials once for all of its clients.
            self._session = boto3.session.Session(**self._credentials)

    def _make(self, service: str) -> Any:
        made = {"region_name": self.config.region, "config": self._botocore}
        if self._beside is None:
            return self._session.client(service, **made)
        with self._beside._lock:  # a session makes one client at a time
            self._beside._begin()
            return self._beside._session.client(service, **made, **self._credentials)

    def partition(self) -> str:
        """AWS's name for its part of the world that the Region is in: aws, aws-us-gov, aws-cn."""
        with self._lock:
            self._begin()
            return str(self._session.get_partition_for_region(self.config.region))

    def _pace(self, service: str) -> Callable[..., None]:
        def before_send(*, event_name: str, **_: Any) -> None:
            self._limiter.acquire(self._bucket or bucket_for(service, event_name.rpartition(".")[2]))

        return before_send


def _camel(method: str) -> str:
    return "".join(part.capitalize() for part in method.split("_"))
