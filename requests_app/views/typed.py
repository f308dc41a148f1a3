"""A form that could not be sent yet because the rule wants another sign-in: off to Entra, and back to what was typed.

What was typed waits in the person's own session, for a few forms and not without bounds, until it is sent; a further
sign-in of the same person takes it along (`identity.signin.proving`). Nobody is sent to Entra by a link: only by a form.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict

from base.clock import real_now
from identity.http import PortalRequest
from identity.signin.proving import proof_of
from identity.signin.stepping_up import claims_for
from identity.signin.views import start_again
from requests_app.stepping_up import StepUpWanted

SESSION_KEY = "typed"
MOST_FORMS = 3
LONGEST = 20_000  # characters of one form; what no form of ours is
_OURS = ("csrfmiddlewaretoken",)
_PARAMETER = "typed"  # of an address: the number of what was kept of the form at it


def to_sign_in(request: PortalRequest, wanted: StepUpWanted, *, following: str = "") -> HttpResponse:
    """Keep what was sent, and send the browser to Entra for what is missing; it comes back to the form.

    Where nothing was typed, `following` is the page with the button to press again.

    One context at a time: that Entra proves several in one token is not established. The session adds them up.
    """
    if not following:
        following = f"{request.path}?{urlencode({_PARAMETER: _keep(request)})}"
    missing = wanted.missing
    contexts = sorted(missing.contexts)
    return start_again(
        request,
        person=request.user.person,
        claims=claims_for(contexts[0]) if contexts else "",
        following=following,
        fresh_within=missing.fresh_within,
    )


def typed(request: HttpRequest) -> QueryDict | None:
    """What was typed into this form before the sign-in, when the browser comes back for it; else None."""
    if request.method == "POST" or _PARAMETER not in request.GET:
        return None
    kept = request.session.get(SESSION_KEY, {}).get(_place(request))
    if not isinstance(kept, dict):
        messages.warning(
            request,
            "What you had written here is no longer kept: it was sent, or you wrote into other forms meanwhile.",
        )
        return None
    proof = proof_of(request.session)
    again = proof is not None and proof.verified_at.isoformat() > str(kept["at"])
    words = "You have signed in again" if again else "You haven't signed in again yet"
    messages.info(request, f"{words}, and what you wrote is still here. Look over it, then send it.")
    return _query(kept["form"])


def sent(request: HttpRequest) -> None:
    """Forget what was typed into this form: it has been sent."""
    waiting = request.session.get(SESSION_KEY, {})
    if (place := _place(request)) in waiting:
        request.session[SESSION_KEY] = {each: form for each, form in waiting.items() if each != place}


def _place(request: HttpRequest, number: str | None = None) -> str:
    """Where a form is kept: two windows may hold the same one, with other words in it."""
    return f"{request.path} {number or request.GET.get(_PARAMETER, '')}"


def _keep(request: HttpRequest) -> str:
    """Keep what was sent, in the place of what this window sent before; gives its number."""
    waiting = request.session.get(SESSION_KEY, {})
    number = request.GET.get(_PARAMETER, "")
    if _place(request, number) not in waiting:
        number = next(
            free for each in range(1, MOST_FORMS + 2) if _place(request, free := str(each)) not in waiting
        )
    form = {name: values for name, values in request.POST.lists() if name not in _OURS}
    if sum(len(name) + sum(map(len, values)) for name, values in form.items()) > LONGEST:
        return number
    place = _place(request, number)
    newest = [(each, kept) for each, kept in waiting.items() if each != place][-(MOST_FORMS - 1) :]
    kept = {"at": real_now().isoformat(), "form": form}
    request.session[SESSION_KEY] = {**dict(newest), place: kept}
    return number


def _query(form: dict[str, list[str]]) -> QueryDict:
    found = QueryDict(mutable=True)
    for name, values in form.items():
        found.setlist(name, values)
    return found
