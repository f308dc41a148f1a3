"""All checks, in the order in which one builds on another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial

from django.conf import settings

from base.clock import business_now, real_now
from catalog import allow_list
from clients.errors import NotPermitted
from clients.registry import Clients, clients
from oversight.doctor import anchors, aws, ends, identities, provisioning
from oversight.doctor.chain import Links, chain
from oversight.doctor.findings import Finding, Level, Stop, good

SEALER = "sealer"


def examine(only: Iterable[str] = (), *, as_person: bool = False) -> Iterator[Finding]:
    """Findings as they come. `only`: object ids of the groups to look at; all managed ones by default.

    `as_person`: every managed group is activated as the person, for which the worker only reads PIM.
    The sealer, which has no way to Entra, looks at the places that keep its seals and at nothing else.
    """
    if settings.PORTAL_PROCESS == SEALER:
        yield from anchors.places(now=real_now())
        return
    yield from anchors.elsewhere()
    yield _allow_list()
    try:
        found = clients()
    except NotPermitted as error:
        mend = "Set the variables that docs/operations.md names for the worker."
        why = "The worker can't call the clouds at all."
        yield Finding("configuration", Level.BROKEN, "the worker's settings", error.sentence, why, mend)
        return
    yield from _clouds(found, tuple(only), as_person=as_person)


def _allow_list() -> Finding:
    about = "the list of managed groups"
    if sentence := allow_list.problem():
        mend = "Deploy the list, one object id a line (docs/permissions.md)."
        why = "The portal touches groups on this list only."
        return Finding("configuration", Level.BROKEN, about, sentence, why, mend)
    return good("configuration", about, f"It names {len(allow_list.managed_groups())} groups.")


def _clouds(found: Clients, only: tuple[str, ...], *, as_person: bool) -> Iterator[Finding]:
    now = real_now()
    yield from _checked(
        lambda: identities.entra(found, tenant_id=settings.ENTRA_TENANT_ID, now=now, as_person=as_person)
    )
    assigned = yield from _read(lambda: provisioning.assigned_groups(found))
    yield from _checked(lambda: provisioning.job(found, now=business_now()))
    yield from ends.recorded(
        certificate_ends=settings.ENTRA_AWS_CERTIFICATE_ENDS, token_ends=settings.AWS_SCIM_TOKEN_ENDS, now=now
    )
    yield from _checked(lambda: identities.aws(found))
    store = yield from _read(lambda: aws.store(found))
    yield from aws.reads(found, store or aws.Store(()))
    links = Links(found, assigned, store)
    for group_id in only or _managed():
        yield from _checked(partial(chain, links, group_id))


def _managed() -> tuple[str, ...]:
    return () if allow_list.problem() else tuple(sorted(allow_list.managed_groups()))


def _checked(check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """A check's findings; a call that failed is one of them and ends this check alone."""
    try:
        yield from check()
    except Stop as stop:
        yield stop.finding


def _read[T](call: Callable[[], T]) -> Generator[Finding, None, T | None]:
    """What other checks need; None, and a finding, when it can't be read."""
    try:
        return call()
    except Stop as stop:
        yield stop.finding
        return None
