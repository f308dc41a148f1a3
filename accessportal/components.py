"""The page that shows every component of the design system, with made-up examples."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from base.clock import business_now
from identity.http import PortalRequest
from requests_app.presentation import Phase, Step

SNIPPET = """[profile billing-production-EC2AdminAccess]
sso_session = access-portal
sso_account_id = 111122223333
sso_role_name = EC2AdminAccess
"""


class ExampleForm(forms.Form):
    """Fields of every kind, one of them refused."""

    text = forms.CharField(label="Justification", help_text="At least 10 characters.", widget=forms.Textarea)
    reference = forms.CharField(label="Reference", required=False, help_text="A change or incident number.")
    length = forms.ChoiceField(
        label="For how long",
        choices=[("30", "30 min"), ("60", "1 h"), ("120", "2 h")],
        widget=forms.RadioSelect,
    )
    kind = forms.ChoiceField(label="Kind", choices=[("a", "First"), ("b", "Second")])


@require_http_methods(["GET", "HEAD"])
def components(request: PortalRequest) -> HttpResponse:
    """Every component, for those who build pages and for the accessibility tests."""
    return render(request, "components.html", example())


def example() -> dict[str, Any]:
    """Everything the page shows."""
    now = business_now()
    minutes = timedelta(minutes=1)
    return {
        "form": ExampleForm({"text": "Too short", "length": "60", "kind": "a"}),
        "refused_form": _refused(),
        "now": now,
        "since": now - 20 * minutes,
        "until": now + 40 * minutes,
        "later": now + timedelta(days=3, hours=2),
        "span": 90 * minutes,
        "snippet_text": SNIPPET,
        "page": Paginator(range(60), 25).page(2),
        "tones": [
            ("live", "Ready"),
            ("moving", "On its way to AWS"),
            ("waiting", "Waiting for a decision"),
            ("ending", "Leaving AWS"),
            ("ended", "Ended"),
            ("problem", "Never arrived"),
        ],
        "tab_entries": [
            {"address": "#tabs", "name": "Waiting", "current": True, "count": 3},
            {"address": "#decided", "name": "Decided", "current": False, "count": None},
        ],
        "phases": (
            Phase("Decision", (Step("Requested", "done", now - 22 * minutes), Step("Approved", "done", now))),
            Phase(
                "On its way in",
                (
                    Step("Assigned in Entra", "now", note="Waiting for Entra to confirm it"),
                    Step("In AWS", "problem", note="Never seen in IAM Identity Center"),
                    Step("Ready", "skipped"),
                ),
            ),
            Phase("On its way out", (Step("Ending", "next", note="At", until=now + 40 * minutes),)),
        ),
    }


def _refused() -> ExampleForm:
    form = ExampleForm({"text": "Too short", "length": "60", "kind": "a"}, auto_id="refused_%s")
    form.add_error("text", "Write at least 10 characters, so that the approver can judge it.")
    form.add_error("length", "At most 1 h is possible for this group.")
    return form
