"""One pass of watching: compare when it is owed, bring the alerts up to the facts, send what is owed."""

from __future__ import annotations

from audit.ledger.scheduled import owe_first
from notifications.sending import send_owed
from oversight.alerts import raise_and_clear
from oversight.drift.runs import Outcome, run_if_due
from oversight.expiries import note_certificate
from oversight.facts import facts
from oversight.reaching import check_rules_if_due


def watch() -> Outcome:
    """Alerts first, which take a moment; the comparison has its own bound of thirty seconds."""
    note_certificate()
    check_rules_if_due()
    owe_first()
    raise_and_clear(facts())
    send_owed()
    return run_if_due()
