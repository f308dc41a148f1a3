"""Several workers that tell people at once: everybody is told of everything once."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

import pytest

from notifications import sending
from notifications.models import EventOwed, Message
from notifications.planning import plan
from notifications.sending import send_owed
from notifications.telling import tell
from tests.notifications.conftest import Post, give_mailbox
from tests.races.scene import at_once
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole

pytestmark = pytest.mark.usefixtures("committed_db")
REQUESTS = 8


def test_nothing_is_planned_or_sent_twice_by_workers_at_once(as_role: AsRole) -> None:
    boss, post = give_mailbox(make.person("Ben Boss")), Post()
    groups = [make.pim_group(accounts=1) for _ in range(REQUESTS)]
    rule = make.rule(boss, groups=tuple(groups))
    asker = give_mailbox(make.person("Ada Asker"))
    with as_role("portal_web"):
        for group in groups:
            make.pending_item(asker, group, rule)
    with patch.object(sending, "postman", lambda: post):
        for together in (plan, send_owed):
            results = at_once(*[together] * 4)
            assert [each for each in results if isinstance(each, Exception)] == []
        tell()  # what those left who found another one at it
    assert not EventOwed.objects.exists()
    assert Counter(Message.objects.values_list("state", flat=True)) == {"sent": 2 * REQUESTS}
    assert Counter(mail.id for mail in post.mails).most_common(1)[0][1] == 1
    assert len(post.mails) == 2 * REQUESTS
