"""What people say about how they are told."""

from __future__ import annotations

from typing import Any

from django import forms

from base.errors import DomainError
from notifications.kinds import MANNERS
from notifications.languages import LANGUAGES
from notifications.models import Digest
from notifications.tastes import Taste, time_zones

DIGEST = "digest"
EACH = [
    *((kind.value, manner.name) for kind, manner in MANNERS.items()),
    (DIGEST, "Several messages together"),
]
EACH_LANGUAGE = [(code, each.name) for code, each in LANGUAGES.items()]
OPTIONAL = [(kind.value, manner.name) for kind, manner in MANNERS.items() if manner.may_be_off]


class PreviewForm(forms.Form):
    """Which text to look at."""

    kind = forms.ChoiceField(label="Message", choices=EACH)
    language = forms.ChoiceField(label="Language", choices=EACH_LANGUAGE)


class PreferencesForm(forms.Form):
    """Language, time zone, together or at once, and what is told at all."""

    language = forms.ChoiceField(label="Language", choices=EACH_LANGUAGE)
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=lambda: [(name, name.replace("_", " ")) for name in time_zones()],
        help_text="Times in messages are said in it.",
    )
    digest = forms.ChoiceField(
        label="When",
        choices=Digest.choices,
        help_text="What can't wait is told at once in any case.",
    )
    tell = forms.MultipleChoiceField(
        label="What",
        required=False,
        choices=OPTIONAL,
        widget=forms.CheckboxSelectMultiple,
    )
    demanded = ("tell",)  # nothing to say about an empty choice

    @staticmethod
    def initial_of(taste: Taste) -> dict[str, Any]:
        """What the fields hold for these preferences."""
        return {
            "language": taste.language.code,
            "time_zone": taste.zone.key,
            "digest": taste.digest,
            "tell": [kind for kind, _ in OPTIONAL if kind not in taste.off],
        }

    @property
    def off(self) -> list[str]:
        """The kinds that were left unticked."""
        return [kind for kind, _ in OPTIONAL if kind not in self.cleaned_data["tell"]]

    def refuse(self, error: DomainError) -> None:
        """Show a refusal at its field."""
        self.add_error(error.field if error.field in self.fields else None, error.sentence)
