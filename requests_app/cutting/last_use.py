"""The last possible use of a grant whose sessions are denied: earlier, but only once every denial was read back."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from base.clock import business_now
from requests_app.cutting.models import Severance
from requests_app.cutting.scopes import Scope, in_force, scopes_of
from requests_app.models import Grant


def severed_last_use(grant: Grant) -> datetime | None:
    """When the last session of this grant could be used; None while a denial is missing or unproven.

    What newer access in force opens as well isn't counted: those sessions are that access's own.
    """
    rows = list(Severance.objects.filter(grant=grant))
    if not rows:
        return None
    proven = {
        Scope(row.account_id, row.permission_set_arn): row.confirmed_at
        for row in rows
        if row.confirmed_at is not None
    }
    allowed = {
        scope
        for _, scopes in in_force([grant.person_id], business_now()).get(grant.person_id, ())
        for scope in scopes
    }
    needed = set(scopes_of([grant]).get(grant.pk, {})) - (allowed - set(proven))
    if not needed or not needed <= set(proven):
        return None
    takes_effect = max(proven[scope] for scope in needed) + settings.SEVERING_TAKES_EFFECT
    return max(takes_effect, grant.out_of_aws_at) if grant.out_of_aws_at else takes_effect
