"""How one is told, for oneself."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import DomainError
from identity.actors import actor_of
from identity.http import PortalRequest
from notifications.forms import PreferencesForm
from notifications.kinds import told_in_any_case
from notifications.preferring import change_preferences
from notifications.tastes import taste_of


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: PortalRequest) -> HttpResponse:
    """Show and change them."""
    person = request.user.person
    sent = request.POST if request.method == "POST" else None
    form = PreferencesForm(sent, initial=PreferencesForm.initial_of(taste_of(person)))
    if form.is_valid():
        try:
            change_preferences(
                person=person,
                language=form.cleaned_data["language"],
                time_zone=form.cleaned_data["time_zone"],
                digest=form.cleaned_data["digest"],
                off=form.off,
                actor=actor_of(request),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, "Kept. What is sent from now on follows it.")
            return redirect("preferences")
    status = 422 if form.is_bound else 200
    context = {"form": form, "always": told_in_any_case(operator=request.user.is_operator)}
    return render(request, "messages/preferences.html", context, status=status)
