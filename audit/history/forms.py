"""The filters of the auditor's pages: allow-lists of parameters, all of them in the address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, ClassVar

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from audit.history.words import action_choices, types_of
from audit.ledger.models import Outcome
from base.clock import business_now
from base.inputs import MomentInput

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_NO_SUCH_TIME = "Write a time between the years 2000 and 2200."
_MOMENTS = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"]
MINUTE = timedelta(minutes=1)


def _text(label: str) -> forms.CharField:
    return forms.CharField(label=label, max_length=128, required=False)


def _moment(label: str) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label,
        required=False,
        input_formats=_MOMENTS,
        widget=MomentInput(_MOMENTS),
        validators=[MinValueValidator(_EARLIEST, _NO_SUCH_TIME), MaxValueValidator(_LATEST, _NO_SUCH_TIME)],
        error_messages={"invalid": "Write a date and a time, such as 2026-05-01T14:30."},
    )


class NamesForm(forms.Form):
    """Whom and what to look for. Every field is optional; unknown parameters are ignored."""

    person = _text("Person")
    permission_set = _text("Permission set")
    account = _text("AWS account")
    unit = _text("OU (its accounts now)")
    group = _text("PIM group")

    placeholders: ClassVar = {
        "person": "Beginning of a name, or object id",
        "permission_set": "Beginning of a name, or ARN",
        "account": "Beginning of a name, or number",
        "unit": "Beginning of a name, or ou-…",
        "group": "Beginning of a name, or object id",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, words in self.placeholders.items():
            self.fields[name].widget.attrs["placeholder"] = words


class AsOfForm(NamesForm):
    """At which minute, and whose access to what. Without a minute, it is this one."""

    at = _moment("At (UTC)")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields(["at"])

    def clean_at(self) -> datetime:
        """The minute's beginning (business time)."""
        at: datetime = self.cleaned_data["at"] or business_now()
        if at > business_now():
            raise forms.ValidationError("This minute has not come yet. Name one that has, or none for now.")
        return _minute(at)


class ChangesForm(NamesForm):
    """Which two minutes to compare, and whose access to what. Without minutes, a day ago and now."""

    since = _moment("From (UTC)")
    until = _moment("To (UTC)")
    show = forms.ChoiceField(
        label="Show",
        required=False,
        choices=[
            ("", "Gained and lost"),
            ("gained", "Gained"),
            ("lost", "Lost"),
            ("same", "Had it at both"),
            ("all", "Everything"),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields(["since", "until"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        until: datetime = cleaned["until"] or business_now()
        since: datetime = cleaned["since"] or until - timedelta(days=1)
        if until > business_now():
            self.add_error("until", "This minute has not come yet. Name one that has, or none for now.")
        elif since >= until:
            self.add_error("until", "This is not after the first minute. Swap the two, or clear one.")
        cleaned["since"], cleaned["until"] = _minute(since), _minute(until)
        return cleaned


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


class TimelineForm(NamesForm):
    """Which events to look for."""

    by = _text("Done by")
    words = _text("Words")
    address = _text("Address")
    action = forms.ChoiceField(label="Action", required=False)
    outcome = forms.ChoiceField(
        label="Outcome", required=False, choices=[("", "Any outcome"), *Outcome.choices]
    )
    since = _moment("From (UTC)")
    until = _moment("To (UTC)")

    placeholders: ClassVar = {
        **NamesForm.placeholders,
        "by": "Beginning of a name, or object id",
        "words": "In what people wrote, or a reference",
        "address": "From which, such as 192.0.2.7",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        action = self.fields["action"]
        if isinstance(action, forms.ChoiceField):
            action.choices = action_choices()

    def clean_address(self) -> str:
        """As events have it: in its shortest form."""
        text: str = self.cleaned_data["address"]
        try:
            return str(ip_address(text)) if text else ""
        except ValueError:
            raise forms.ValidationError(
                "Write one whole address, such as 192.0.2.7 or 2001:db8::7."
            ) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", "This is before the beginning. Swap the two, or clear one.")
        if until:
            cleaned["until"] = until + MINUTE  # a minute that is named is meant to its end
        cleaned["types"] = types_of(cleaned.get("action") or "")
        return cleaned


class SaveForm(forms.Form):
    """How a search is kept."""

    name = forms.CharField(
        label="Name", max_length=80, required=False
    )  # what is missing is said by `save_search`
    shared = forms.BooleanField(label="Share it with all auditors", required=False)
