"""Links and profiles."""

from __future__ import annotations

from configparser import ConfigParser
from datetime import timedelta
from urllib.parse import parse_qs

from requests_app.models import RequestScope
from requests_app.ways_in import aws_config, console_address, ways_in

PORTAL = "https://acme.awsapps.com/start"


def a_scope(account: str, name: str, permission_set: str) -> RequestScope:
    return RequestScope(
        account_id=account,
        account_name=name,
        permission_set_name=permission_set,
        session_duration=timedelta(hours=1),
    )


def test_names_are_percent_encoded() -> None:
    address = console_address(PORTAL + "/", "111122223333", "a+b=c,d@e f&g")
    assert address.startswith(
        f"{PORTAL}/#/console?account_id=111122223333&role_name=a%2Bb%3Dc%2Cd%40e%20f%26g"
    )
    assert parse_qs(address.partition("?")[2])["role_name"] == ["a+b=c,d@e f&g"]


def test_without_an_access_portal_there_is_no_link() -> None:
    assert ways_in([a_scope("1", "a", "b")], portal_url="")[0].address == ""


def test_the_profiles_can_be_read() -> None:
    ways = ways_in(
        [
            a_scope("111122223333", "Billing (prod) ]", "EC2Admin"),
            a_scope("222233334444", "web", "Read,Only"),
        ],
        portal_url=PORTAL,
    )
    parser = ConfigParser()
    parser.read_string(aws_config(ways, portal_url=PORTAL, region="eu-central-1"))
    assert parser.sections() == [
        "sso-session access-portal",
        "profile billing-prod-ec2admin",
        "profile web-read-only",
    ]
    assert parser["profile web-read-only"]["sso_role_name"] == "Read,Only"
    assert parser["sso-session access-portal"]["sso_start_url"] == PORTAL
