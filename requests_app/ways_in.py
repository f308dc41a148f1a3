"""Ways into an AWS account once access is ready: a link and a profile. Formats of IAM Identity Center."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from requests_app.models import RequestScope

_UNFIT_FOR_A_PROFILE = re.compile(r"[^A-Za-z0-9_.]+")


@dataclass(frozen=True, slots=True)
class WayIn:
    """One permission set on one AWS account, and the address that opens its console."""

    account_id: str
    account_name: str
    permission_set_name: str
    address: str  # "" when no access portal is configured


def ways_in(scope: Iterable[RequestScope], *, portal_url: str) -> list[WayIn]:
    """A link per permission set and account; they work only for somebody who has the access by then."""
    return [
        WayIn(
            account_id=row.account_id,
            account_name=row.account_name,
            permission_set_name=row.permission_set_name,
            address=console_address(portal_url, row.account_id, row.permission_set_name)
            if portal_url
            else "",
        )
        for row in scope
    ]


def console_address(portal_url: str, account_id: str, permission_set_name: str) -> str:
    """The access portal's shortcut link. Names may hold `+ = , @`, so everything is percent-encoded."""
    query = urlencode({"account_id": account_id, "role_name": permission_set_name}, quote_via=quote)
    return f"{portal_url.rstrip('/')}/#/console?{query}"


def aws_config(ways: Iterable[WayIn], *, portal_url: str, region: str) -> str:
    """Lines for ~/.aws/config: one session and a profile for each way in."""
    lines = [
        "[sso-session access-portal]",
        f"sso_start_url = {portal_url}",
        f"sso_region = {region}",
        "sso_registration_scopes = sso:account:access",
    ]
    for way in ways:
        lines += [
            "",
            f"[profile {_profile(way)}]",
            "sso_session = access-portal",
            f"sso_account_id = {way.account_id}",
            f"sso_role_name = {way.permission_set_name}",
        ]
    return "\n".join(lines) + "\n"


def _profile(way: WayIn) -> str:
    return _UNFIT_FOR_A_PROFILE.sub("-", f"{way.account_name}-{way.permission_set_name}").strip("-").lower()
