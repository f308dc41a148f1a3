"""What operators and reviewers type."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from base.clock import business_now
from base.inputs import NO_DAY
from requests_app.forms import RefusableForm
from reviews.models import ReviewedBy, Verdict


class StartForm(RefusableForm):
    """A new campaign."""

    name = forms.CharField(
        label="Name",
        max_length=128,
        help_text="Such as “Third quarter”.",
        error_messages={"required": "Give the review a name, so that reviewers can tell it from others."},
    )
    due_on = forms.DateField(
        label="Due on",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages=NO_DAY,
    )
    begins = forms.CharField(
        label="PIM groups whose name begins with",
        max_length=128,
        required=False,
        help_text="Empty for all managed groups.",
    )
    reviewed_by = forms.ChoiceField(
        label="Who reviews",
        choices=ReviewedBy.choices,
        widget=forms.RadioSelect,
        initial=ReviewedBy.OWNERS,
        help_text="Owners who are disabled or guests can't review. Nobody reviews their own eligibility.",
        error_messages={"required": "Say who is to review."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["due_on"].initial = (business_now() + timedelta(days=28)).date()


class ReviewerForm(RefusableForm):
    """One more reviewer of a group."""

    who = forms.CharField(
        label="Add a reviewer",
        max_length=256,
        help_text="Beginning of a name, or object id.",
        error_messages={"required": "Say who is to review."},
    )


class DecideForm(RefusableForm):
    """What is decided on the eligibilities that were chosen."""

    entry = forms.TypedMultipleChoiceField(
        coerce=int, error_messages={"required": "Choose the eligibilities that you decide on."}
    )
    verdict = forms.ChoiceField(choices=Verdict.choices, required=False)
    reason = forms.CharField(
        label="Why",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="It stays with each of the decisions. Auditors read it.",
        error_messages={"required": "Say why: auditors read it."},
    )

    def __init__(self, *args: Any, entries: list[int], **kwargs: Any) -> None:
        """`entries` are those that may be chosen."""
        super().__init__(*args, **kwargs)
        field = self.fields["entry"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(str(key), str(key)) for key in entries]
