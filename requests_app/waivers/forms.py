"""Forms of emergency use and its reviews. They read input; whether it may be is for the actions to say."""

from __future__ import annotations

from typing import Any, cast

from django import forms

from requests_app.forms import RefusableForm, RequestForm
from requests_app.waivers.asking import SHORTEST_WHY, EmergencyAsk
from requests_app.waivers.models import OwedReview


class EmergencyForm(RequestForm):
    """A request without an approval: besides what any request says, why it can't wait for one."""

    why = forms.CharField(
        label="Why can't it wait for an approval?",
        required=False,  # the action says how long it must be
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=f"At least {SHORTEST_WHY} characters. Everybody who is told reads it, and so does whoever reviews it.",
    )
    drill = forms.BooleanField(label="This is a drill: go the whole way, and grant nothing", required=False)
    field_order = ("why", "justification", "length", "hours", "minutes", "reference", "drill")

    def __init__(self, *args: Any, drill_only: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["start"]
        self.demanded = {*self.demanded, "why"}
        if drill_only:
            self.fields["drill"].initial = True

    @property
    def emergency(self) -> EmergencyAsk:
        """What the action takes, of a valid form."""
        return EmergencyAsk(self.cleaned_data["why"], self.cleaned_data["drill"])


class ReviewForm(RefusableForm):
    """Whether an emergency use was in order."""

    demanded = ("verdict", "comment")

    verdict = forms.ChoiceField(
        label="Was it in order?", choices=OwedReview.Verdict, widget=forms.RadioSelect, required=False
    )
    comment = forms.CharField(
        label="What did you find?",
        required=False,  # the action insists on it
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Whoever used it reads it, and so do auditors.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("forms.ChoiceField", self.fields["verdict"]).choices = OwedReview.Verdict.choices
