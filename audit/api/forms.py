"""What an auditor says about a new token."""

from __future__ import annotations

from datetime import timedelta

from django import forms

from audit.api.models import Scope

DAYS = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"))


class TokenForm(forms.Form):
    """What it is for, and for how long."""

    name = forms.CharField(
        label="Name",
        max_length=64,
        help_text="What will use it, so that others know what they revoke.",
        error_messages={"required": "Say what will use the token."},
    )
    scopes = forms.MultipleChoiceField(
        label="What it may read",
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what the token is for."},
    )
    days = forms.ChoiceField(label="For how long", choices=DAYS, widget=forms.RadioSelect, initial="30")

    def clean_name(self) -> str:
        """In one line."""
        return " ".join(str(self.cleaned_data["name"]).split())

    @property
    def lasts(self) -> timedelta:
        """How long (real time), of a form that is valid."""
        return timedelta(days=int(self.cleaned_data["days"]))
