"""What nobody sees in names, or what reorders a page around them, is shown by its number on every page."""

from __future__ import annotations

import re

from base.visible import HIDDEN
from catalog.models import AwsAccount, PimGroup
from identity.models import Person
from tests.pages.conftest import Visitor, World

TURNED, UNSEEN = "\u202e", "\u200b"


def unseen(page: str) -> list[str]:
    return [each for each in HIDDEN.findall(page) if each not in "\n\t"]


def test_on_pages_of_requesters_and_approvers(world: World) -> None:
    Person.objects.filter(pk=world.ada.pk).update(display_name=f"Ada {TURNED}reksA", job_title=UNSEEN)
    Person.objects.filter(pk=world.ben.pk).update(display_name=f"Ben{UNSEEN} Boss")
    PimGroup.objects.filter(pk=world.group.pk).update(
        display_name=f"AWS {TURNED}nimdA", description=f"x{UNSEEN}"
    )
    AwsAccount.objects.update(name=f"prod{TURNED}")
    item = world.ask()
    ada, ben = world.sign_in(world.ada), world.sign_in(world.ben)
    group = f"/access/{world.group.object_id}/"
    pages: list[tuple[Visitor, str]] = [
        *(
            (ada, path)
            for path in ("/", "/access/", group, f"{group}request/", f"/requests/{item.request_id}/")
        ),
        *(
            (ben, path)
            for path in ("/", "/approvals/", f"/approvals/{item.pk}/", f"/approvals/{item.pk}/live/")
        ),
    ]
    for visitor, path in pages:
        page = visitor.get(path).content.decode()
        assert unseen(page) == [], path
        assert re.search(r"\\u20(2e|0b)", page), path


def test_what_is_typed_comes_back_as_it_was(world: World) -> None:
    sent = {"justification": f"x{UNSEEN}", "length": "60", "reference": ""}
    page = world.sign_in(world.ada).post(f"/access/{world.group.object_id}/request/", **sent).content.decode()
    assert re.search(rf"<textarea[^>]*>\s*x{UNSEEN}\s*</textarea>", page)
    assert unseen(page) == [UNSEEN]
