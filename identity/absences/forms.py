"""What people say about being away. Whether it may be is for the action to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from django import forms

from base.errors import DomainError
from identity.models import Person

FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
UNREADABLE = {"invalid": "Write date and time, such as 2026-03-02 14:30."}


def _moment(label: str, help_text: str) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label,
        required=False,  # the action says whether it may be left out
        help_text=help_text,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=FORMATS,
        error_messages=UNREADABLE,
    )


class AbsenceForm(forms.Form):
    """From when, until when, and who decides meanwhile."""

    demanded = ("ends", "chosen")

    begins = _moment("Away from", "Date and time in UTC. Empty: from now on.")
    ends = _moment("Until", "Date and time in UTC. It can be ended sooner at any time.")
    delegate = forms.CharField(
        label="Who decides meanwhile",
        required=False,
        max_length=128,
        help_text="A colleague's name or address. Empty: nobody, and requests go to the others who may decide.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    chosen = forms.ChoiceField(label="Whom do you mean?", required=False, widget=forms.RadioSelect)

    def offer(self, people: Sequence[Person]) -> None:
        """Let one of several colleagues be chosen who have this name."""
        field = cast("forms.ChoiceField", self.fields["chosen"])
        field.choices = [
            (each.object_id, f"{each.display_name} ({each.user_principal_name})") for each in people
        ]

    def refuse(self, error: DomainError) -> None:
        """Show the refusal at its field, or above the form; where it names several mistakes, each at its own."""
        for each in error.parts:
            self.add_error(each.field if each.field in self.fields else None, each.sentence)


class PersonSearch(forms.Form):
    """Whose absence an operator wants to record."""

    q = forms.CharField(required=False, max_length=100)
