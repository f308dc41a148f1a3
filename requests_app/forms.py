"""Forms of the life cycle's pages. They read input; whether it may be is for the actions to say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.conf import settings

from base.errors import DomainError, Missing
from base.words import duration_words
from requests_app.actions.asking import Asked
from requests_app.actions.deciding import LONGEST_COMMENT
from requests_app.models import Verdict

USUAL_LENGTHS = tuple(timedelta(minutes=minutes) for minutes in (30, 60, 120, 240, 480))
OTHER = "other"


def length_choices(longest: timedelta) -> list[tuple[str, str]]:
    """Usual durations within the maximum, the maximum itself, and a free one."""
    whole = timedelta(minutes=int(longest.total_seconds()) // 60)
    lengths = sorted({length for length in USUAL_LENGTHS if length < whole} | {whole})
    named = [(str(int(length.total_seconds()) // 60), duration_words(length)) for length in lengths]
    return [*named, (OTHER, "Another")]


def length_input(length: timedelta, longest: timedelta) -> dict[str, Any]:
    """What the fields of a LengthForm hold for a duration."""
    minutes = int(length.total_seconds()) // 60
    if str(minutes) in dict(length_choices(longest)):
        return {"length": str(minutes)}
    return {"length": OTHER, "hours": minutes // 60, "minutes": minutes % 60}


class RefusableForm(forms.Form):
    """A form that can show why an action refused what it sent."""

    demanded: Collection[str] = ()  # fields that an action, not the form, insists on
    unseen: Collection[str] = ()  # fields beside which nothing can be shown
    _refused_with = 422

    @property
    def status(self) -> int:
        """The answer's, when the form is shown: 200 where nothing was sent, else that of the last refusal."""
        return self._refused_with if self.is_bound else 200

    def refuse(self, error: DomainError) -> None:
        """Show the refusal at its field, or above the form; where it names several mistakes, each at its own."""
        self._refused_with = error.status
        for each in error.parts:
            self._show(each)

    def carries_out(self, act: Callable[[dict[str, Any]], object]) -> bool:
        """Do what was sent; False when it can't be read or was refused, with the reason in the form. Raises Missing."""
        if not self.is_valid():
            return False
        try:
            act(self.cleaned_data)
        except Missing:
            raise
        except DomainError as error:
            self.refuse(error)
            return False
        return True

    def _show(self, error: DomainError) -> None:
        field = "length" if error.field == "duration" else error.field
        shown = field in self.fields and field not in self.unseen
        self.add_error(field if shown else None, error.sentence)


class TimeForm(RefusableForm):
    """For how long: one of the usual durations, or hours and minutes, cleaned to `duration`."""

    length = forms.ChoiceField(label="For how long?", widget=forms.RadioSelect)
    hours = forms.IntegerField(label="Hours", required=False, min_value=0, max_value=24)
    minutes = forms.IntegerField(label="Minutes", required=False, min_value=0, max_value=59)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        length = cleaned.get("length", "")
        if length == OTHER and not {"hours", "minutes"} & set(self.errors):
            span = timedelta(hours=cleaned.get("hours") or 0, minutes=cleaned.get("minutes") or 0)
            if span:
                cleaned["duration"] = span
            else:
                self.add_error("length", "Say how many hours and minutes.")
        elif length not in ("", OTHER):
            cleaned["duration"] = timedelta(minutes=int(length))
        return cleaned


def offer_lengths(form: TimeForm, longest: timedelta) -> None:
    """Let the form choose among what can be had at most."""
    length = cast("forms.ChoiceField", form.fields["length"])
    length.choices = length_choices(longest)
    length.help_text = f"At most {duration_words(longest)}."


class ItemForm(TimeForm):
    """For how long one of several is asked for. The prefix tells it from the others."""

    def __init__(self, *args: Any, longest: timedelta, what: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_lengths(self, longest)
        self.fields["length"].label = f"{what}: for how long?"


class LengthForm(TimeForm):
    """For how long, and from when."""

    start = forms.DateTimeField(
        label="Start",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        error_messages={"invalid": "Write date and time, such as 2026-03-02 14:30."},
    )

    def __init__(self, *args: Any, longest: timedelta, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_lengths(self, longest)
        start = cast("forms.DateTimeField", self.fields["start"])
        start.help_text = (
            f"Date and time in UTC, at most {settings.LATEST_START.days} days ahead. Empty: as soon as it is approved. "
            "If it is approved later than this, the window begins then and is as long as asked."
        )
        self._longest = longest

    def chosen(self) -> timedelta | None:
        """The duration as it stands in the form, sent or prefilled; None when it is not one that can be had."""
        if not self.is_bound:
            form = LengthForm(self.initial, longest=self._longest)
            return form.chosen()
        self.is_valid()
        duration: timedelta | None = self.cleaned_data.get("duration")
        if duration is not None and duration > self._longest:
            return None
        return duration

    def chosen_start(self) -> datetime | None:
        """The start that was asked for, when it is one; None: at the approval."""
        if not self.is_bound:
            return None
        self.is_valid()
        wanted: datetime | None = self.cleaned_data.get("start")
        return wanted

    def length_refusal(self) -> str:
        """Why the duration isn't one, for the preview; "" when nothing was chosen."""
        if not self.is_bound:
            return ""
        chosen: timedelta | None = (
            self.cleaned_data.get("duration") if self.is_valid() or self.cleaned_data else None
        )
        if chosen is not None and chosen > self._longest:
            return f"At most {duration_words(self._longest)} is possible here."
        return next(
            (str(error) for name in ("length", "hours", "minutes") for error in self.errors.get(name, ())), ""
        )


class RequestForm(LengthForm):
    """Why, for how long, and perhaps a reference."""

    justification = forms.CharField(
        label="Why do you need it?",
        required=False,  # the action says how long it must be
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    reference = forms.CharField(label="Reference", required=False)
    field_order: Sequence[str] = ("justification", "length", "hours", "minutes", "start", "reference")

    def __init__(
        self, *args: Any, shortest_justification: int, reference_required: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields[
            "justification"
        ].help_text = f"At least {shortest_justification} characters. Whoever decides reads it, and it stays in the history."
        self.fields["reference"].help_text = "A change or incident number, such as INC0012345."
        # Not `required` for Django, whose refusal would come before the action's; for the label only.
        self.demanded = {"justification", "reference"} if reference_required else {"justification"}

    def asked(self) -> Asked:
        """What could be read of it; the form has been validated."""
        cleaned = self.cleaned_data
        return Asked(
            cleaned.get("duration"),
            cleaned.get("start"),
            cleaned.get("justification"),
            cleaned.get("reference"),
        )


class SeveralForm(RequestForm):
    """Why, from when, and a reference, of several that are asked for together; each has its own ItemForm."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, longest=timedelta(0), **kwargs)
        for name in ("length", "hours", "minutes"):
            del self.fields[name]


class DecisionForm(TimeForm):
    """One approver's word; an approval for as long as was asked, or for less."""

    unseen = ("verdict", "shown")  # two buttons, and what the page carries

    verdict = forms.CharField(required=False)
    shown = forms.CharField(required=False, max_length=64)
    length = forms.ChoiceField(label="Approve for", required=False, widget=forms.RadioSelect, initial="")
    comment = forms.CharField(
        label="Comment",
        required=False,
        max_length=LONGEST_COMMENT,
        help_text="The requester reads it. To deny, say why.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    field_order = ("length", "hours", "minutes", "comment")

    def __init__(self, *args: Any, asked: timedelta, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        as_asked = ("", f"As asked: {duration_words(asked)}")
        shorter = [
            (str(int(length.total_seconds()) // 60), duration_words(length))
            for length in USUAL_LENGTHS
            if length < asked
        ]
        length = cast("forms.ChoiceField", self.fields["length"])
        length.choices = [as_asked, *shorter, (OTHER, "Another, shorter")]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("verdict") == Verdict.DENY:  # for no time at all, whatever stands in those fields
            for name in ("length", "hours", "minutes"):
                self.errors.pop(name, None)
        return cleaned


class TogetherForm(RefusableForm):
    """One word on several requests."""

    unseen = ("verdict",)

    verdict = forms.CharField(required=False)
    comment = forms.CharField(
        label="Comment",
        required=False,
        max_length=LONGEST_COMMENT,
        help_text="Each requester reads it. To deny, say why.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )


class ReasonForm(RefusableForm):
    """Why somebody does something to somebody else's access."""

    demanded = ("reason",)

    reason = forms.CharField(
        label="Why?",
        required=False,  # the action insists on it
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(self, *args: Any, read_by: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = read_by


class RemarkForm(RefusableForm):
    """A question about a request, or the answer to one."""

    demanded = ("words",)

    words = forms.CharField(
        required=False,  # the action insists on it
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(self, *args: Any, answering: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = self.fields["words"]
        words.label = "Your answer" if answering else "What do you want to know?"
        readers = "Whoever decides on it reads it" if answering else "The requester reads it"
        words.help_text = f"{readers}, and it stays in the history."
