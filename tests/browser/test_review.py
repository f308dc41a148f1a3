"""An access review in real browsers: an operator starts it, a reviewer decides by keyboard, an auditor takes it away."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tests.browser.conftest import Enter

GROUP = "AWS - Amazon EC2 Admin"


@pytest.mark.proof
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_eligibilities_are_reviewed_and_the_removals_leave_as_a_table(
    enter: Enter, tmp_path: Path, width: int, scheme: str
) -> None:
    name = f"Review at {width}"
    ruth = enter("Ruth Castellanos", width=width, scheme=scheme)  # the portal knows whoever has signed in
    pedro = enter("Pedro Almeida", width=width, scheme=scheme)
    pedro.open("/operations/reviews/")
    pedro.click("link", "Start a review")
    pedro.page.get_by_label("Name", exact=True).fill(name)
    pedro.page.get_by_label("PIM groups whose name").fill(GROUP)
    pedro.click("button", "Start the review")
    pedro.sees("undecided")
    pedro.sees("owners in Entra")
    progress = pedro.page.url.removeprefix(pedro.origin)
    pedro.click("link", f"Change the reviewers of {GROUP}")
    pedro.sees("Helena Brandt")
    pedro.page.get_by_label("Add a reviewer").fill("Ruth Cast")
    pedro.click("button", "Add")
    pedro.sees("Ruth Castellanos")

    helena = enter("Helena Brandt", width=width, scheme=scheme)
    helena.open("/approvals/")
    helena.click("link", "Say which eligibilities stay")
    helena.click("link", name)
    box = helena.page.get_by_role("checkbox").first
    box.focus()
    helena.page.keyboard.press("Space")
    assert box.is_checked()
    helena.page.get_by_label("Why").focus()
    helena.page.keyboard.type("Moved to another team")
    helena.page.get_by_role("button", name="Remove what is chosen").focus()
    helena.page.keyboard.press("Enter")
    helena.sees("Kept: your word on 1 eligibility")
    helena.check()

    ruth.open(progress)
    ruth.sees(re.compile("1 to remove"))
    with ruth.page.expect_download() as download:
        ruth.page.get_by_role("button", name="Removals as CSV").click()
    table = tmp_path / "removals.csv"
    download.value.save_as(table)
    with table.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["pim_group"], row["reason"], row["decided_by"]) == (
        GROUP,
        "Moved to another team",
        "Helena Brandt",
    )
    ruth.click("link", "Reviews")
    ruth.sees(name)
