"""What operators type."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms

from base.clock import business_now
from base.inputs import NO_DAY
from oversight.models import FindingKind, FindingStatus
from policy.reading import LONGEST_TEXT
from requests_app.forms import RefusableForm


class DriftFilter(forms.Form):
    """Which findings to list."""

    kind = forms.ChoiceField(required=False, label="Kind", choices=[("", "Any kind"), *FindingKind.choices])
    status = forms.ChoiceField(
        required=False,
        label="Status",
        choices=[("", "Open and accepted"), *FindingStatus.choices, ("any", "Any status")],
    )
    holder = forms.CharField(required=False, label="Holder or group", max_length=128)


class ResolveForm(forms.Form):
    """A person's word on a finding."""

    how = forms.ChoiceField(
        label="What is true",
        choices=[
            ("handled", "It was handled: it goes away, or has gone"),
            ("accepted", "It is a known exception until a date"),
        ],
        widget=forms.RadioSelect,
    )
    until = forms.DateField(
        required=False,
        label="Exception until",
        help_text="The end of that day in UTC; at most a year away.",
        error_messages=NO_DAY,
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    reason = forms.CharField(
        label="Why", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}), help_text="Auditors read it."
    )
    demanded = ("how", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("how") == "accepted" and not cleaned.get("until") and "until" not in self.errors:
            self.add_error("until", "Say until when: no exception is for ever.")
        return cleaned

    def instant(self) -> datetime:
        """The end of the chosen day."""
        day = self.cleaned_data.get("until") or (business_now() - timedelta(days=1)).date()
        return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


class TokenEndForm(forms.Form):
    """When the SCIM token of the enterprise application ends."""

    day = forms.DateField(
        label="The SCIM token ends on",
        help_text="IAM Identity Center shows it under automatic provisioning.",
        error_messages=NO_DAY,
        widget=forms.DateInput(attrs={"type": "date"}),
    )


class SubjectSearch(forms.Form):
    """Who or what is to be frozen."""

    q = forms.CharField(required=False, max_length=100)


class RulesForm(RefusableForm):
    """A whole set of rules, or one of them, as text."""

    demanded = ("text", "reason")
    unseen = ("base", "only", "restores")

    text = forms.CharField(
        label="Rules",
        strip=False,
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "code", "wrap": "off"}),
        help_text="YAML. Names beside ids are for reading only, and comments aren't kept.",
        error_messages={"required": "Write at least one rule."},
    )
    reason = forms.CharField(
        label="Why?",
        required=False,  # the action insists on it
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The second operator reads it, and it stays in the history.",
    )
    base = forms.CharField(widget=forms.HiddenInput, max_length=LONGEST_TEXT)
    only = forms.CharField(widget=forms.HiddenInput, required=False, max_length=128)
    restores = forms.UUIDField(widget=forms.HiddenInput, required=False)


class DecideForm(RefusableForm):
    """A second operator's word on a change of the rules, or the proposer's own."""

    demanded = ("reason",)

    verdict = forms.ChoiceField(
        choices=[("accept", "Accept"), ("reject", "Reject"), ("withdraw", "Withdraw")],
        error_messages={"required": "Choose what to do.", "invalid_choice": "Choose what to do."},
    )
    reason = forms.CharField(
        label="Why?",
        required=False,  # the action insists on it
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="It stays in the history.",
    )
