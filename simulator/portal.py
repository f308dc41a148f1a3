"""Stand-in for the AWS access portal at `/start`: what a person can open now, and opening it."""

import threading
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from simulator.entra.accounts import Account, Accounts
from simulator.entra.signin import page
from simulator.world.errors import WorldError
from simulator.world.world import World

SESSION_COOKIE = "simulated_access_portal_session"
SEARCH_LIMIT = 20


def _time(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M UTC")


def session_rows(world: World, person: str | None = None) -> list[dict[str, Any]]:
    """Role sessions that still run, of one person (Entra object id) or of everybody."""
    center = world.state.identity_center
    rows = center.sessions if person is None else world.access_portal.sessions(person)
    now = world.now()
    found = []
    for each in rows:
        if each.ends_at <= now:
            continue
        user = center.users.get(each.user_id)
        permission_set = center.permission_sets.get(each.permission_set_arn)
        account = world.state.organization.accounts.get(each.account_id)
        verdict = world.access_portal.may_act(each.id)
        found.append(
            {
                "id": each.id,
                "user": user.user_name if user else each.user_id,
                "account_id": each.account_id,
                "account_name": account.name if account else each.account_id,
                "permission_set": permission_set.name if permission_set else each.permission_set_arn,
                "role": each.role_name,
                "started_at": each.started_at.isoformat(),
                "ends_at": each.ends_at.isoformat(),
                "ends": _time(each.ends_at),
                "may_act": verdict.allowed,
                "refusal": verdict.refusal,
                "denied_by": verdict.denied_by,
            }
        )
    return found


def _entries(world: World, portal_session_id: str) -> list[dict[str, Any]]:
    """Accounts with the permission sets that an open portal shows on each."""
    accounts: dict[str, dict[str, Any]] = {}
    for entry in world.access_portal.shown(portal_session_id):
        row = accounts.setdefault(
            entry.account.id, {"id": entry.account.id, "name": entry.account.name, "permission_sets": []}
        )
        row["permission_sets"].append(entry.permission_set.name)
    return list(accounts.values())


def _start_page(
    world: World,
    account: Account,
    portal_session_id: str,
    *,
    refusal: str = "",
    opened: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    return page(
        "start.html",
        status=status,
        scripts=True,
        account=account,
        accounts=_entries(world, portal_session_id),
        sessions=session_rows(world, account.object_id),
        now=_time(world.now()),
        refusal=refusal,
        opened=opened,
    )


def access_portal_pages(*, world: World, lock: threading.RLock, accounts: Accounts) -> Blueprint:
    """The pages. The deep link's fragment (`#/console?account_id=…&role_name=…`) is read by a small script."""
    blueprint = Blueprint("access_portal", __name__)

    def signed_in() -> tuple[Account, str] | None:
        """Who is signed in, and their portal session; needs the lock."""
        person, _, session_id = request.cookies.get(SESSION_COOKIE, "").partition(".")
        account = accounts.find(person)
        holds = world.access_portal.portal_session(session_id) is not None
        return (account, session_id) if account is not None and holds else None

    @blueprint.get("/start", strict_slashes=False)
    def start() -> Response:
        with lock:
            world.advance()
            found = signed_in()
            return _start_page(world, *found) if found is not None else sign_in_page()

    def sign_in_page(refusal: str = "") -> Response:
        text = request.args.get("search", "").strip()
        return page(
            "start_sign_in.html",
            status=403 if refusal else 200,
            scripts=True,
            refusal=refusal,
            featured=accounts.featured(),
            search=text,
            found=accounts.search(text, SEARCH_LIMIT) if text else [],
            limit=SEARCH_LIMIT,
            tenant_id=accounts.tenant_id,
        )

    @blueprint.post("/start/sign-in")
    def sign_in() -> BaseResponse:
        account = accounts.find(request.form.get("account", ""))
        if account is None or not account.enabled or account.tenant_id != accounts.tenant_id:
            return redirect("/start/", 303)
        with lock:
            world.advance()
            try:
                session = world.access_portal.sign_in(account.object_id)
            except WorldError:
                return sign_in_page(f"{account.name} is no active user of IAM Identity Center")
        response = redirect("/start/", 303)
        cookie = f"{account.object_id}.{session.id}"
        response.set_cookie(SESSION_COOKIE, cookie, httponly=True, samesite="Lax", path="/start")
        return response

    @blueprint.post("/start/sign-out")
    def sign_out() -> BaseResponse:
        response = redirect("/start/", 303)
        response.delete_cookie(SESSION_COOKIE, path="/start")
        with lock:
            world.access_portal.end_portal_session(request.cookies.get(SESSION_COOKIE, "").partition(".")[2])
        return response

    @blueprint.post("/start/open")
    def open_session() -> BaseResponse:
        with lock:
            world.advance()
            found = signed_in()
            if found is None:
                return redirect("/start/", 303)
            account, portal_session_id = found
            try:
                session = world.access_portal.open_session(
                    account.object_id,
                    request.form.get("account_id", ""),
                    request.form.get("role_name", ""),
                    portal_session_id=portal_session_id,
                )
            except WorldError as refused:
                return _start_page(
                    world, account, portal_session_id, refusal=refused.message, status=refused.status
                )
            rows = session_rows(world, account.object_id)
            opened = next((row for row in rows if row["id"] == session.id), None)
            return _start_page(world, account, portal_session_id, opened=opened)

    return blueprint
