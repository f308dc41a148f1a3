"""Middleware of every page: health before anything else, and domain errors turned into pages."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator

from django.core.exceptions import BadRequest
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_structlog.middlewares import RequestMiddleware

from accessportal.recorded_settings import record_if_owed
from base.errors import DomainError, TooOften
from base.once import a_page
from base.visible import visible_page

logger = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]


class HealthMiddleware:
    """Answers probes before the redirect to https and before ALLOWED_HOSTS, which a probe by address fails.

    /healthz: this process answers. /readyz: it also reaches the database.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            if request.path_info == "/healthz":
                return _answer(200, "alive")
            if request.path_info == "/readyz":
                return self._ready()
        return self.get_response(request)

    def _ready(self) -> HttpResponse:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except DatabaseError as error:
            logger.warning("Not ready: the database can't be reached (%s).", type(error).__name__)
            return _answer(503, "no database")
        record_if_owed()  # where the database was away when this process started
        return _answer(200, "ready")


def _answer(status: int, word: str) -> JsonResponse:
    return JsonResponse({"status": word}, status=status, headers={"Cache-Control": "no-store"})


class PlainTextMiddleware:
    """Refuses NUL in what a browser sends: it is in no text, and Postgres takes it in none.

    It stands before whatever looks something up by path, query, cookie or form. The form is read with the
    view at hand: the CSRF check, which reads it first, has seen to one that can't be read by then.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        _refuse_nul(request.path_info, *_texts(request.GET), *request.COOKIES.values())
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> None:
        if request.method == "POST":
            _refuse_nul(*_texts(request.POST))


def _texts(sent: QueryDict) -> Iterator[str]:
    for name, values in sent.lists():
        yield name
        yield from (str(value) for value in values)


def _refuse_nul(*texts: str) -> None:
    if any("\0" in text for text in texts):
        raise BadRequest("NUL")


class VisibleMiddleware:
    """On every page, what nobody sees or what reorders its surroundings is shown by its number (`base.visible`).

    Names come from a directory and words from people, and a page has hundreds of places for them: here none is forgotten.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.streaming and response.get("Content-Type", "").startswith("text/html"):
            page = response.content.decode()
            if (shown := visible_page(page)) is not page:
                response.content = shown
        return response


class PrivateMiddleware:
    """What somebody signed in is shown is kept by no cache, neither on the way nor in the browser."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if getattr(request, "sign_in", None) is not None and "Cache-Control" not in response:
            response["Cache-Control"] = "private, no-store"
        return response


class OncePerPageMiddleware:
    """What several parts of a page need is read once; whatever may change something reads each time."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return self.get_response(request)
        with a_page():
            return self.get_response(request)


class RequestLogMiddleware(RequestMiddleware):
    """One line a request, without the query: it may hold a code of the sign-in or what somebody searched."""

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {request.path}"


class DomainErrorMiddleware:
    """A refusal that no form caught becomes a page (or a fragment, for htmx) with its status and sentence."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, DomainError):
            return None
        if exception.status == 404:  # absent and forbidden look exactly alike
            return render(request, "errors/404.html", status=404)
        return refused(request, exception)


def refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The page, or for htmx the fragment, that says why something was refused."""
    fragment = bool(getattr(request, "htmx", False)) and not request.headers.get("HX-Boosted")
    template = "errors/refused.html#refusal" if fragment else "errors/refused.html"
    response = render(request, template, {"error": error}, status=error.status)
    if isinstance(error, TooOften):
        response["Retry-After"] = str(max(1, math.ceil(error.wait.total_seconds())))
    patch_vary_headers(response, ["HX-Request"])
    return response
