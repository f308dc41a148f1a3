"""The whole loop in real browsers against the running stack: two people, and an auditor who reads it afterwards."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from audit.exporting.evidence import VERIFIER
from audit.ledger.keys import public_path
from stack.running import Stack
from tests.browser.conftest import Enter
from tests.browser.people import Visitor

GROUP = "AWS - Amazon EC2 Admin"
WHY = "Replace the failing instance behind web-prod"


def test_from_sign_in_to_ended_with_the_trail_of_it(
    enter: Enter, clouds: Callable[..., Any], running_stack: Stack, tmp_path: Path
) -> None:
    amara = enter("Amara Okafor")

    # Browse: what a request would open is shown before it is made.
    amara.open("/access/")
    amara.sees("EC2AdminAccess")
    amara.click("link", GROUP)
    for part in (
        "AmazonEC2FullAccess",
        "web-prod",
        "104200000101",
        "Access approvers - Production",
        "At most",
    ):
        amara.sees(part)

    # Ask: first too curtly, then well; the refusal stands at the field and nothing is lost.
    amara.click("link", "Request this access")
    amara.sees("Probably usable, if approved now")
    amara.sees("Last possible use")
    amara.page.get_by_label("Why do you need it").fill("short")
    amara.click("button", "Send the request")
    amara.sees("in at least 15 characters")
    amara.page.get_by_label("Why do you need it").fill(WHY)
    amara.page.get_by_label("Reference").fill("INC0012345")
    amara.click("button", "Send the request")
    amara.sees("Waiting for Access approvers - Production to decide")
    address = amara.page.url

    # Nobody decides on their own request: it isn't even there.
    request_id = address.rstrip("/").rsplit("/", 1)[-1]
    amara.open("/approvals/")
    amara.sees_not(WHY)

    # Approve, as somebody else.
    helena = enter("Helena Brandt", scheme="dark")
    helena.open("/approvals/")
    helena.click("link", GROUP)
    helena.sees(WHY)
    decision_address = helena.page.url
    answer = amara.page.request.get(decision_address)
    assert answer.status == 404
    helena.page.get_by_label("Comment").fill("Go ahead, and tell the on-call channel")
    helena.click("button", "Approve")
    helena.sees("Approved")

    # Follow it without reloading: usable only when AWS shows the membership.
    amara.page.goto(address)
    amara.sees(re.compile(r"Ready to use until"))
    amara.check()
    amara.sees("Go ahead, and tell the on-call channel")
    link = amara.page.get_by_role("link", name=re.compile("EC2AdminAccess on web-prod")).first.get_attribute(
        "href"
    )
    assert link is not None
    assert link.endswith("#/console?account_id=104200000101&role_name=EC2AdminAccess")
    amara.sees("sso_role_name = EC2AdminAccess")
    assert member_everywhere(clouds) == (True, True)
    use_it(clouds)

    # Give it back, and see every end of it.
    amara.page.get_by_role("button", name="I'm done").click()
    amara.check()
    amara.page.get_by_role("dialog").get_by_role("button", name="Give it back").click()
    amara.sees(re.compile("Out of Entra"))
    amara.sees(re.compile("Membership removed; sessions possible until"))
    assert member_everywhere(clouds) == (False, False)
    amara.sees("Ended. No session can be left.", patience=150_000)
    amara.sees(re.compile(r"Request again"))
    amara.check()

    # The auditor finds it by a name and a day, and reads it from ask to end.
    ruth = enter("Ruth Castellanos")
    find_the_case(ruth, request_id)
    for step in (
        "asked for access",
        f"asked for {GROUP}",
        "Helena Brandt decided",
        "was checked and counted",
        "was approved",
        "Asked Entra to put",
        "Entra holds the membership",
        "access is ready",
        "is being removed",
        f"is out of {GROUP} in Entra",
        f"is out of {GROUP} in IAM Identity Center",
        "no session can be left",
    ):
        ruth.sees(step)
    ruth.sees(WHY)
    see_its_seal(ruth)
    see_who_had_it(ruth, moment_of(ruth, "access is ready"))
    on_paper(ruth, f"/audit/requests/{request_id}/", "/audit/controls/")
    # What was done with it was read from CloudTrail meanwhile, or is within moments.
    for _ in range(20):
        ruth.open(f"/audit/requests/{request_id}/activity/")
        if ruth.page.get_by_role("rowheader", name="StopInstances").count():
            break
        ruth.page.wait_for_timeout(2_000)
    ruth.sees("StopInstances")
    ruth.sees("What this covers")
    ruth.open(f"/audit/requests/{request_id}/")

    # A table of all that the search finds.
    ruth.open("/audit/?person=Amara")
    with ruth.page.expect_download() as table:
        ruth.click("button", "CSV")
    assert "item.approved" in Path(table.value.path()).read_text()
    ruth.open(f"/audit/requests/{request_id}/")
    ruth.sees("What the page showed")
    ruth.sees("Your access is ready")

    # Take it away, and verify it without the portal; a copy in which a byte was changed isn't believed.
    with ruth.page.expect_download() as download:
        ruth.click("button", "Evidence pack")
    pack = tmp_path / "pack.zip"
    download.value.save_as(pack)
    assert proven(running_stack, pack)
    with zipfile.ZipFile(pack) as packed:
        texts = {name: packed.read(name) for name in packed.namelist()}
    texts["events.jsonl"] = texts["events.jsonl"].replace(b"Helena Brandt", b"Helena Brand7", 1)
    with zipfile.ZipFile(pack, "w") as packed:
        for name, text in texts.items():
            packed.writestr(name, text)
    assert not proven(running_stack, pack)

    # Nobody else sees the trail.
    assert amara.page.request.get(ruth.page.url).status == 404
    assert amara.complaints == helena.complaints == ruth.complaints == []


def find_the_case(ruth: Visitor, request_id: str) -> None:
    """By the timeline's form, keeping the search for another day, then by the link of an event."""
    elsewhere = ruth.page.context.new_cdp_session(ruth.page)
    elsewhere.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    ruth.open("/audit/")
    ruth.sees(re.compile(r"UTC\s*\d+ \w+, \d\d:\d\d:\d\d GMT\+9"))  # both clocks, in the reader's zone
    elsewhere.detach()  # or it would undo how the page is emulated on paper
    ruth.open("/audit/")
    day = ruth.page.get_by_role("main").locator("time").first.get_attribute("datetime")
    assert day is not None
    ruth.page.get_by_label("Person").fill("Amara")
    # Business time runs fast: what began on one day of it may have gone on to the next.
    day_before = datetime.fromisoformat(day) - timedelta(days=1)
    ruth.page.get_by_label("From (UTC)").fill(f"{day_before:%Y-%m-%d}T00:00")
    ruth.click("button", "Search")
    ruth.page.get_by_text("Saved searches").click()
    ruth.page.get_by_label("Name").fill("Amara's day")
    ruth.click("button", "Keep this search")
    ruth.page.get_by_text("Narrow down").click()
    ruth.click("link", "Decision: counted")
    ruth.sees("was checked and counted")
    ruth.page.locator(f'main a[href="/audit/requests/{request_id}/"]').first.click()
    ruth.check()
    assert ruth.page.url.endswith(f"/audit/requests/{request_id}/")


def row_of(ruth: Visitor, words: str) -> Locator:
    """The row of the case's trail that says it."""
    return ruth.page.locator("table", has_text="What happened").locator("tbody tr", has_text=words).first


def moment_of(ruth: Visitor, words: str) -> datetime:
    """When that happened, on the business clock."""
    found = row_of(ruth, words).locator("time").first.get_attribute("datetime")
    assert found is not None
    return datetime.fromisoformat(found)


def see_its_seal(ruth: Visitor) -> None:
    """The removal's own event says in which batch it is sealed."""
    row = row_of(ruth, f"is out of {GROUP} in IAM Identity Center")
    row.locator("summary").click()
    expect(row).to_contain_text(re.compile(r"sealed in batch \d+"))
    ruth.check()
    row.get_by_role("link", name=re.compile("sealed in batch")).click()
    ruth.check()
    ruth.sees("The event leads to its seal")
    ruth.sees("Proof of inclusion")
    ruth.page.go_back()
    ruth.page.wait_for_load_state()


def see_who_had_it(ruth: Visitor, ready: datetime) -> None:
    """By the account and the minute; and that it was gained since an hour earlier."""
    ruth.open("/audit/as-of/")
    ruth.page.get_by_label("At (UTC)").fill(f"{ready:%Y-%m-%dT%H:%M}")
    ruth.page.get_by_label("AWS account").fill("104200000101")
    ruth.click("button", "Look")
    ruth.sees("Amara Okafor")
    ruth.click("link", "Between two minutes")
    ruth.page.get_by_label("From (UTC)").fill(f"{ready - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    ruth.page.get_by_label("To (UTC)").fill(f"{ready:%Y-%m-%dT%H:%M}")
    ruth.page.get_by_label("Person").fill("Amara")
    ruth.page.get_by_label("PIM group").fill(GROUP)  # other plays of hers share the clouds
    ruth.click("button", "Compare")
    ruth.sees("1 gained, 0 lost")


# Tables that are wider than their place.
CUT_OFF = (
    "[...document.querySelectorAll('main .table')].filter(each => each.scrollWidth > each.clientWidth).length"
)


def on_paper(ruth: Visitor, *paths: str) -> None:
    """Printed, nothing that can only be pressed is left, what is folded away is there, and no table is cut off."""
    ruth.page.emulate_media(media="print", color_scheme="light")
    on_screen = ruth.page.viewport_size
    assert on_screen is not None
    ruth.page.set_viewport_size({"width": 703, "height": 1000})  # A4 between margins of 12 mm
    for path in paths:
        ruth.open(path)
        assert not ruth.page.get_by_role("navigation").first.is_visible()
        assert ruth.page.get_by_role("main").get_by_role("button").count() == 0
        assert ruth.page.locator("main details tbody tr, main details dl").first.is_visible()
        assert ruth.page.evaluate(CUT_OFF) == 0, path
    ruth.page.set_viewport_size(on_screen)
    ruth.page.emulate_media(media="screen")


def proven(stack: Stack, pack: Path) -> bool:
    """What the offline verifier says of an evidence pack, in a Python that doesn't find the portal."""
    key = public_path(stack.state_dir / "sealing-key.pem")
    command = [sys.executable, "-I", str(VERIFIER), str(pack), "--public-key", str(key)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


def use_it(clouds: Callable[..., Any]) -> None:
    """Amara opens a session in AWS and stops something there."""
    person = next(each["oid"] for each in clouds("GET", "/people") if each["name"] == "Amara Okafor")
    asked = {"person": person, "account_id": "104200000101", "permission_set": "EC2AdminAccess"}
    session = clouds("POST", "/sessions", asked)["id"]
    assert clouds("POST", f"/sessions/{session}/act", {"action": "ec2:StopInstances"})["allowed"]


def member_everywhere(clouds: Callable[..., Any]) -> tuple[bool, bool]:
    """Whether the simulated Entra and the simulated Identity Center have Amara in the group now."""
    groups = clouds("GET", "/state")["groups"]
    group = next(row for row in groups if row["name"] == GROUP)
    return tuple("amara.okafor@" in str(group[side]) for side in ("entra", "identity_store"))  # type: ignore[return-value]
