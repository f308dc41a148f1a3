"""How the Graph front answers any request: token, permission, faults, lock, envelope, observers."""

import math
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, jsonify, request

from simulator.calls import CallLog
from simulator.delays import DELAYS, Hold
from simulator.entra.graph.errors import GraphError, bad_request
from simulator.entra.graph.exchange import EVERYWHERE, Exchange
from simulator.entra.graph.odata import Query, page, parse_query, select
from simulator.entra.graph.permissions import Caller, authenticate, authorize
from simulator.entra.provider import Provider
from simulator.faulty import DEFAULT_RETRY_SECONDS, retry_after
from simulator.listener import DROP
from simulator.world.errors import WorldError
from simulator.world.faults import Fault
from simulator.world.world import World

METADATA = "https://graph.microsoft.com/v1.0/$metadata"
PIM_PATHS = ("/identityGovernance/privilegedAccess/group/", "/policies/")
PIM_SPAN_SECONDS = 10.0

type Handler = Callable[..., "Answer"]


@dataclass(frozen=True)
class Answer:
    """What a handler gives back."""

    status: int
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Context:
    """One authenticated request, as handlers see it."""

    front: "GraphFront"
    world: World
    caller: Caller
    operation: str
    path: str
    args: Mapping[str, str]
    query: Query
    body: Any

    def authorize(self, *, owned: bool | None = None) -> None:
        """Check the permission again, now that it is known whose object is addressed."""
        authorize(self.caller, self.operation, owned=owned)

    def listing(
        self,
        items: Sequence[Mapping[str, Any]],
        context: str,
        *,
        default: Sequence[str] = (),
        lenient: bool = False,
        case_sensitive: bool = False,
        page_size: int | None = None,
    ) -> Answer:
        """A page of a collection. `lenient`: a selected name that a row's type lacks is left out."""
        shown, notes = page(
            items,
            self.query,
            base_url=self.front.base_url,
            path=self.path,
            args=self.args,
            page_size=self.front.page_size or page_size or 100,
            case_sensitive=case_sensitive,
        )
        rows = []
        for row in shown:
            names = self.query.select
            if lenient:
                names = tuple(name for name in names if name in row) or (("id",) if names else ())
            keep = tuple(self.query.expand)
            rows.append(select(row, names, keep=keep, default=(*default, *keep) if default else ()))
        return Answer(200, {"@odata.context": f"{METADATA}#{context}", **notes, "value": rows})

    def single(
        self, entity: Mapping[str, Any], context: str, *, default: Sequence[str] = (), status: int = 200
    ) -> Answer:
        """One entity."""
        keep = tuple(self.query.expand)
        chosen = select(entity, self.query.select, keep=keep, default=(*default, *keep) if default else ())
        return Answer(status, {"@odata.context": f"{METADATA}#{context}", **chosen})


def segment(template: str) -> str:
    """The last named segment of a path template: what faults call the operation."""
    names = [part for part in template.split("/") if part and not part.startswith("{")]
    return names[-1].partition("(")[0]


def _world_problem(problem: WorldError) -> GraphError:
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after is not None else {}
    if problem.status == 429 and not headers:
        headers = {"Retry-After": str(DEFAULT_RETRY_SECONDS)}
    return GraphError(problem.status, problem.code, problem.message, headers)


def _fault_problem(fault: Fault) -> GraphError:
    if fault.kind == "throttle":
        message = fault.message or "Too many requests. Please wait before trying again."
        headers = retry_after(fault, default=DEFAULT_RETRY_SECONDS)
        return GraphError(429, fault.code or "TooManyRequests", message, headers)
    names = {503: "ServiceUnavailable", 504: "GatewayTimeout"}
    code = fault.code or names.get(
        fault.status, "InternalServerError" if fault.status >= 500 else "BadRequest"
    )
    return GraphError(
        fault.status, code, fault.message or "The service can't answer at the moment.", retry_after(fault)
    )


@dataclass
class GraphFront:
    """The Graph front: its world, its lock, and who watches. `page_size` 0 leaves Graph's own sizes."""

    provider: Provider
    world: World
    lock: threading.RLock
    calls: CallLog
    page_size: int = 0
    observers: list[Callable[[Exchange], None]] = field(default_factory=list)
    _pim_calls: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    hold: Hold = DELAYS.hold

    @property
    def base_url(self) -> str:
        """Where this Graph lives."""
        return f"{self.provider.browser_origin}/v1.0"

    def route(self, blueprint: Blueprint, method: str, template: str, handler: Handler) -> None:
        """Serve one operation of the contract."""
        rule = template.replace("{", "<").replace("}", ">")

        def view(**parts: str) -> Response:
            return self._answer(method, template, handler, parts)

        blueprint.add_url_rule(
            rule, endpoint=f"{method} {template}".replace(".", "-"), view_func=view, methods=[method]
        )

    def answer_unknown(self, path: str) -> Response:
        """Anything that the front doesn't serve: 400 for an unknown segment, after the token was checked."""

        def handler(context: Context) -> Answer:
            del context
            raise bad_request(f"Resource not found for the segment '{path.rsplit('/', 1)[-1]}'.")

        return self._answer(request.method, "", handler, {})

    def _answer(self, method: str, template: str, handler: Handler, parts: dict[str, str]) -> Response:
        request_id = str(uuid.uuid4())
        client_request_id = request.headers.get("client-request-id") or request_id
        path = request.path.removeprefix("/v1.0")
        fault = self._fault(method, template)
        if fault is not None and fault.kind == "lose_request":
            return self._drop(method, path, request_id)
        if fault is not None and fault.kind == "delay":
            self.hold(fault.seconds)
        caller_id = ""
        body: Any = None
        try:
            caller = authenticate(self.provider, request.headers.get("Authorization"))
            caller_id = caller.application_id
            body = self._body()
            if fault is not None and fault.kind in ("throttle", "error"):
                raise _fault_problem(fault)
            answer = self._handle(method, template, handler, parts, path, caller, body)
            if fault is not None and fault.kind == "error_after":
                raise _fault_problem(fault)
            extra: Mapping[str, str] = {}
        except GraphError as problem:
            if body is None:  # refused before it was read; whoever looks on sees what was sent
                body = request.get_json(force=True, silent=True)
            answer = Answer(
                problem.status, problem.body(request_id=request_id, client_request_id=client_request_id)
            )
            extra = problem.headers
        if fault is not None and fault.kind == "lose_answer":
            return self._drop(method, path, request_id)
        response = jsonify(answer.body) if answer.body is not None else Response()
        response.status_code = answer.status
        response.headers["request-id"] = request_id
        response.headers["client-request-id"] = client_request_id
        response.headers["Cache-Control"] = "no-store"
        response.headers.update(extra)
        self.calls.note("graph", f"{method} {path}", answer.status, caller=caller_id, request_id=request_id)
        self._observe(method, path, body, answer, dict(response.headers), caller_id)
        return response

    def _handle(
        self,
        method: str,
        template: str,
        handler: Handler,
        parts: dict[str, str],
        path: str,
        caller: Caller,
        body: Any,
    ) -> Answer:
        operation = f"{method} {template}"
        if template:
            authorize(caller, operation)
            self._count(template, caller)
        args = dict(request.args.items(multi=False))
        try:
            with self.lock:
                self.world.advance()
                context = Context(self, self.world, caller, operation, path, args, parse_query(args), body)
                return handler(context, **parts)
        except WorldError as problem:
            raise _world_problem(problem) from problem

    def _count(self, template: str, caller: Caller) -> None:
        """Raises GraphError 429 for a call of PIM beyond what the switch allows an application."""
        most = self.world.switches.pim_calls_per_ten_seconds
        if not most or not template.startswith(PIM_PATHS):
            return
        now = time.monotonic()
        with self.lock:
            recent = self._pim_calls[caller.application_id]
            while recent and now - recent[0] >= PIM_SPAN_SECONDS:
                recent.popleft()
            if len(recent) < most:
                recent.append(now)
                return
            wait = math.ceil(PIM_SPAN_SECONDS - (now - recent[0]))
        message = "Too many requests. Please wait before trying again."
        raise GraphError(429, "TooManyRequests", message, {"Retry-After": str(max(1, wait))})

    def _fault(self, method: str, template: str) -> Fault | None:
        if not template:
            return None
        with self.lock:
            return self.world.faults.take(f"graph.{method} {segment(template)}")

    def _body(self) -> Any:
        if not request.get_data(cache=True):
            return None
        body = request.get_json(force=True, silent=True)
        if body is None:
            raise bad_request(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of "
                "valid JSON format."
            )
        return body

    def _drop(self, method: str, path: str, request_id: str) -> Response:
        self.calls.note("graph", f"{method} {path}", 0, request_id=request_id)
        self._observe(method, path, request.get_json(force=True, silent=True), Answer(0), {}, "")
        drop = request.environ.get(DROP)
        if drop is not None:
            drop()
        return Response(status=500)

    def _observe(
        self, method: str, path: str, body: Any, answer: Answer, headers: dict[str, str], caller_id: str
    ) -> None:
        observers = (*EVERYWHERE, *self.observers)
        if not observers:
            return
        exchange = Exchange(
            method=method,
            path=path,
            query=dict(request.args.items(multi=False)),
            request_body=body,
            status=answer.status,
            response_headers=headers,
            response_body=answer.body,
            application_id=caller_id,
        )
        for observer in observers:
            observer(exchange)
