"""Calls Microsoft Graph through msgraph-sdk, from synchronous code, and lets nothing vendor-like out.

Rules kept here, for every call: one event loop per process; a total time limit; our own client-request-id,
and the service's request-id in the receipt; the token only for the configured origin, also when an answer's
nextLink points elsewhere; no redirects; writes sent exactly once. The SDK's own retry is off altogether: it
would repeat POST, and sleep on a Retry-After for up to three minutes. Reads are retried here, twice.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from kiota_http.kiota_client_factory import KiotaClientFactory
from kiota_http.middleware.options import RedirectHandlerOption, RetryHandlerOption
from msgraph import GraphRequestAdapter, GraphServiceClient

from clients.breaker import Breaker, LocalBreaker, guarded
from clients.entra import failures
from clients.entra.config import EntraConfig
from clients.entra.credential import build_credential
from clients.entra.loop import LoopThread
from clients.errors import ClientError, StepUpRequired, Throttled, TokenThrottled, Unreachable
from clients.limits import PEOPLES_SIGN_IN, Limiter
from clients.observing import watching
from clients.types import Reading, Receipt

TOTAL_SECONDS = 20.0
_READ_PAUSES = (0.3, 1.0)

# Raised before anything is handed to the network.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class ForeignOriginError(Exception):
    """A call would have gone to another host than Graph's."""


@dataclass(slots=True)
class _Call:
    client_request_id: str
    request_id: str = ""
    sent: bool = False

    @property
    def receipt(self) -> Receipt:
        return Receipt(client_request_id=self.client_request_id, vendor_request_id=self.request_id)


_current: ContextVar[_Call] = ContextVar("graph_call")
# The access token of the person in whose name calls go out; "": the worker's own.
_person: ContextVar[str] = ContextVar("graph_person", default="")


class _WhoActs:
    """The credential that kiota asks: the person's token inside `as_person`, and never the worker's there."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    async def get_token(self, *scopes: str, claims: str | None = None, **options: Any) -> Any:
        token = _person.get()
        if not token:
            return await self._worker.get_token(*scopes, claims=claims, **options)
        if claims:
            raise StepUpRequired(
                "Entra has withdrawn this person's sign-in, or wants a stronger one.",
                claims=claims,
                code="insufficient_claims",
                receipt=_current.get().receipt,
            )
        return AccessToken(token, int(time.time()) + 60)


class GraphCaller:
    """One per process, safe between threads. Client and loop are made at first use, and again after fork."""

    def __init__(
        self,
        config: EntraConfig,
        limiter: Limiter,
        *,
        total_seconds: float = TOTAL_SECONDS,
        read_pauses: tuple[float, ...] = _READ_PAUSES,
        credential: Any = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._config = config
        self._limiter = limiter
        self._total_seconds = total_seconds
        self._read_pauses = read_pauses
        self._credential = credential
        self._breaker: Breaker = breaker or LocalBreaker()
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: LoopThread | None = None
        self._client: Any = None
        self._http: httpx.AsyncClient | None = None
        self._signed_in: Any = None
        self._clock_skew: timedelta | None = None

    # --- what adapters use

    def pages(
        self, operation: str, builder: Callable[[Any], Any], *, port: str, **query: Any
    ) -> Reading[tuple[Any, ...]]:
        """Every item of a collection, following nextLink to the end. `query`: filter, select and so on.

        Each page is a call of its own, with its own time limit and place in the queue; the receipt is the last's.
        """
        at = builder(self._ready())
        answer = self._get(operation, at, configuration(at, **query), port=port)
        found = list(answer.value.value or [])
        seen: set[str] = set()
        while link := answer.value.odata_next_link:
            if link in seen:
                raise failures.interrupted("EndlessPages", write=False, receipt=answer.receipt)
            seen.add(link)
            answer = self._get(operation, at.with_url(link), None, port=port)
            found.extend(answer.value.value or [])
        return Reading(tuple(found), answer.receipt)

    def item(self, operation: str, builder: Callable[[Any], Any], *, port: str, **query: Any) -> Reading[Any]:
        """One object."""
        at = builder(self._ready())
        return self._get(operation, at, configuration(at, **query), port=port)

    def post(
        self,
        operation: str,
        builder: Callable[[Any], Any],
        body: Any,
        *,
        port: str,
        client_request_id: str,
        bucket: str = "graph",
    ) -> Reading[Any]:
        """Send a write once. Anything but a clear answer after sending is OutcomeUnknown."""
        at = builder(self._ready())
        return self._run(
            operation,
            lambda: at.post(body),
            port=port,
            bucket=bucket,
            write=True,
            client_request_id=client_request_id,
        )

    def send(
        self,
        operation: str,
        builder: Callable[[Any], Any],
        send: Callable[[Any], Awaitable[Any]],
        *,
        port: str,
        client_request_id: str,
    ) -> Reading[None]:
        """Send a write once that is answered with nothing (204). Anything unclear after sending is OutcomeUnknown."""
        at = builder(self._ready())

        async def work() -> bool:
            await send(at)
            return True

        answer = self._run(
            operation, work, port=port, bucket="graph", write=True, client_request_id=client_request_id
        )
        return Reading(None, answer.receipt)

    def token(self, *, port: str) -> Reading[str]:
        """Our own access token for Graph. It is a secret: read it, and let it go.

        It may come from the credential's cache, which says nothing about Entra: no circuit hears of it, and the
        credential itself takes a place where it has to ask.
        """
        self._ready()
        call = _Call(str(uuid.uuid4()))
        with watching(port, "POST token", client_request_id=call.client_request_id) as watched:
            value = self._made(call, lambda: self._signed_in.get_token(self._config.graph_scope), write=False)
            watched.receipt = call.receipt
        return Reading(str(value.token), call.receipt)

    @contextmanager
    def as_person(self, access_token: str) -> Iterator[None]:
        """Calls in this block travel with a person's token. Raises ValueError without one."""
        if not access_token:
            raise ValueError("nobody's token")
        before = _person.set(access_token)
        try:
            yield
        finally:
            _person.reset(before)

    def at_sign_in[T](self, operation: str, work: Callable[[], Awaitable[T]], *, port: str) -> Reading[T]:
        """Ask Entra's token endpoint for a person's token, by the rules of a read; `work` raises port errors."""
        return self._run(
            operation,
            work,
            port=port,
            bucket=PEOPLES_SIGN_IN,
            write=False,
            client_request_id=str(uuid.uuid4()),
        )

    @property
    def clock_skew(self) -> timedelta | None:
        """Graph's clock minus ours, by the Date of its last answer; None before the first."""
        return self._clock_skew

    def close(self) -> None:
        """Close connections and stop the loop's thread."""
        if self._loop is not None and self._pid == os.getpid():
            if self._http is not None:
                self._loop.run(self._http.aclose(), seconds=5)
            self._loop.close()
        self._loop = self._client = self._http = None

    # --- how

    def _get(self, operation: str, at: Any, wanted: Any, *, port: str) -> Reading[Any]:
        """One GET, sent at most three times within the total time limit."""
        return self._run(
            operation,
            lambda: at.get(wanted),
            port=port,
            bucket="graph",
            write=False,
            client_request_id=str(uuid.uuid4()),
        )

    def _run(
        self,
        operation: str,
        work: Callable[[], Awaitable[Any]],
        *,
        port: str,
        bucket: str,
        write: bool,
        client_request_id: str,
    ) -> Reading[Any]:
        with (
            watching(port, operation, client_request_id=client_request_id) as watched,
            guarded(self._breaker, _circuit(port, bucket)),
        ):
            self._limiter.acquire(bucket)
            call = _Call(client_request_id)
            try:
                value = self._made(call, work, write=write)
            except TokenThrottled:
                raise  # the credential holds its own bucket, and Graph was never asked
            except Throttled as error:
                self._limiter.hold(bucket, error.retry_after)
                raise
            watched.receipt = call.receipt
            return Reading(value, call.receipt)

    def _made(self, call: _Call, work: Callable[[], Awaitable[Any]], *, write: bool) -> Any:
        try:
            return self._loop_thread().run(
                self._attempts(call, work, write=write), seconds=self._total_seconds + 5
            )
        except TimeoutError:
            raise self._late(call, write=write) from None

    def _ready(self) -> Any:
        """The SDK's client. The SDK imports much when asked for a builder: better here than in a timed call."""
        self._loop_thread()
        return self._client

    def _loop_thread(self) -> LoopThread:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._http = self._build_http()
                self._client = self._build_client(self._http)
                self._loop = LoopThread("graph-loop")
            return self._loop

    def _build_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=httpx.Timeout(self._total_seconds, connect=5.0, pool=5.0),
            http2=True,
            event_hooks={"request": [self._before], "response": [self._after]},
        )

    def _build_client(self, http: httpx.AsyncClient) -> Any:
        try:
            credential = self._credential or build_credential(self._config, self._limiter)
        except (OSError, ValueError) as error:
            reason = type(error).__name__
            raise failures.no_token(reason, refused=True, receipt=Receipt("")) from error
        self._signed_in = credential
        hostname = self._config.graph_origin[1]
        hostname = hostname.rpartition(":")[0] if ":" in hostname else hostname
        provider = AzureIdentityAuthenticationProvider(
            _WhoActs(credential), scopes=[self._config.graph_scope], allowed_hosts=[hostname]
        )
        off = [RetryHandlerOption(should_retry=False), RedirectHandlerOption(should_redirect=False)]
        # Kiota's factory, not msgraph_core's: the latter's transport doesn't close its connections.
        wired = KiotaClientFactory.create_with_default_middleware(
            client=http, options={option.get_key(): option for option in off}
        )
        adapter = GraphRequestAdapter(provider, client=wired)
        adapter.base_url = self._config.graph_base_url
        return GraphServiceClient(request_adapter=adapter)

    async def _before(self, request: httpx.Request) -> None:
        origin = (request.url.scheme, request.url.netloc.decode("ascii").lower())
        if origin != self._config.graph_origin:
            raise ForeignOriginError(request.url.host)
        call = _current.get()
        request.headers["client-request-id"] = call.client_request_id
        call.sent = True

    async def _after(self, response: httpx.Response) -> None:
        call = _current.get()
        call.request_id = response.headers.get("request-id", "") or call.request_id
        try:
            said = parsedate_to_datetime(response.headers.get("date", ""))
        except ValueError:
            return
        self._clock_skew = said.astimezone(UTC) - datetime.now(UTC)

    async def _attempts(self, call: _Call, work: Callable[[], Awaitable[Any]], *, write: bool) -> Any:
        _current.set(call)
        pauses = () if write else self._read_pauses
        try:
            async with asyncio.timeout(self._total_seconds):
                for pause in pauses:
                    try:
                        return await self._once(call, work, write=write)
                    except Throttled:
                        raise
                    except Unreachable:
                        await asyncio.sleep(pause)
                return await self._once(call, work, write=write)
        except TimeoutError:
            raise self._late(call, write=write) from None

    async def _once(self, call: _Call, work: Callable[[], Awaitable[Any]], *, write: bool) -> Any:
        try:
            answer = await work()
            if answer is None:
                raise ValueError("an empty answer")
            return answer
        except ClientError as error:
            error.receipt = error.receipt or call.receipt
            raise
        except APIError as error:
            raise self._from_api(error, call, write=write) from error
        except ClientAuthenticationError as error:
            raise failures.no_token(_first_words(error), refused=True, receipt=call.receipt) from error
        except AzureError as error:
            raise failures.no_token(type(error).__name__, refused=False, receipt=call.receipt) from error
        except ForeignOriginError as error:
            raise failures.not_sent("ForeignOrigin", receipt=call.receipt) from error
        except _NOT_SENT as error:
            raise failures.not_sent(type(error).__name__, receipt=call.receipt) from error
        except httpx.HTTPError as error:
            raise failures.interrupted(type(error).__name__, write=write, receipt=call.receipt) from error
        except Exception as error:
            # An answer that isn't what it should be, e.g. a gateway's page: kiota raises anything, Exception too.
            if not call.sent:
                raise
            raise failures.interrupted("UnreadableAnswer", write=write, receipt=call.receipt) from error

    def _from_api(self, error: APIError, call: _Call, *, write: bool) -> ClientError:
        detail = getattr(error, "error", None)
        headers = {
            str(name).lower(): str(value) for name, value in dict(error.response_headers or {}).items()
        }
        answer = failures.Answer(
            status=error.response_status_code or 0,
            code=getattr(detail, "code", None) or "",
            message=getattr(detail, "message", None) or "",
            headers=headers,
        )
        if answer.status < 400:  # a redirect, which Graph doesn't send to anybody who may call it
            return failures.interrupted(str(answer.status), write=write, receipt=call.receipt)
        return failures.from_answer(answer, write=write, receipt=call.receipt)

    def _late(self, call: _Call, *, write: bool) -> ClientError:
        if not call.sent:
            return failures.not_sent("Timeout", receipt=call.receipt)
        return failures.interrupted("Timeout", write=write, receipt=call.receipt)


def _circuit(port: str, bucket: str) -> str:
    """Which cloud a call is of (`clients.breaker.CLOUDS`)."""
    if bucket == PEOPLES_SIGN_IN:
        return "sign-in"
    return "provisioning" if port == "entra.provisioning" else "graph"


def configuration(builder: Any, **query: Any) -> Any:
    """The SDK's request configuration with the query parameters class that belongs to this builder."""
    kind = type(builder)
    parameters = getattr(kind, f"{kind.__name__}GetQueryParameters")(**query) if query else None
    return RequestConfiguration(query_parameters=parameters)


def _first_words(error: Exception) -> str:
    """The AADSTS code of a refused token request, or the error's name; never the whole message."""
    text = str(error)
    at = text.find("AADSTS")
    return text[at:].split(":", 1)[0].split()[0] if at >= 0 else type(error).__name__


__all__ = ["TOTAL_SECONDS", "ForeignOriginError", "GraphCaller", "configuration"]
