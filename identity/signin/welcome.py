"""From verified claims to the user who signs in. Only (tenant id, object id) decides who that is."""

from __future__ import annotations

from collections.abc import Iterable

from django_subatomic.db import transaction, transaction_required

from audit.ledger.recorder import record
from identity.actors import actor_for
from identity.events import LOGIN, ROLES_CHANGED
from identity.models import AppRole, Person, User
from identity.signin.entra import Claims
from identity.signin.problems import DISABLED, SignInError

# What the web process may write of a person; the directory sync knows better and more.
_LENGTHS = {"display_name": 256, "user_principal_name": 256}


def welcome(claims: Claims, *, ip: str = "") -> tuple[User, bool]:
    """The user of these claims, brought up to date, and whether they sign in for the first time.

    Raises SignInError for somebody whom the directory, or the portal, has switched off.
    """
    with transaction():
        # Locked, so that two first sign-ins at once make one user.
        person = Person.objects.select_for_update().get(pk=_person(claims).pk)
        user = User.objects.filter(person=person).first()
        if not person.enabled or (user is not None and not user.is_active):
            raise SignInError(DISABLED, tenant_id=claims.tenant_id, object_id=claims.object_id)
        return give_roles(person, user, claims.app_roles, ip=ip), user is None


@transaction_required
def give_roles(person: Person, user: User | None, names: Iterable[str], *, ip: str = "") -> User:
    """The login of a locked person with these app roles, of which others than the portal's count for nothing.

    A login that is new, or has other roles than before, leaves its event in this transaction; Postgres refuses it otherwise.
    """
    app_roles = sorted({role for role in names if role in AppRole.values})
    before = None if user is None else user.app_roles
    if user is None:
        user = User.objects.create_user(person=person, app_roles=app_roles)
    elif before != app_roles:
        user.app_roles = app_roles
        user.save(update_fields=["app_roles"])
    user.person = person
    if before != app_roles:
        record(
            ROLES_CHANGED.name,
            actor=actor_for(user, ip=ip),
            fields={"roles": _words(app_roles), "before": None if before is None else _words(before)},
            rows=[LOGIN.stands(user)],
            about_oid=person.object_id,
            about_name=person.display_name,
        )
    return user


def _words(app_roles: Iterable[str]) -> str:
    return ", ".join(app_roles) or "none"


def _person(claims: Claims) -> Person:
    said = {"display_name": claims.name, "user_principal_name": claims.user_principal_name}
    said = {field: value.replace("\x00", "")[: _LENGTHS[field]] for field, value in said.items() if value}
    person, created = Person.objects.get_or_create(
        tenant_id=claims.tenant_id,
        object_id=claims.object_id,
        defaults={"display_name": claims.object_id, **said},
    )
    changed = [field for field, value in said.items() if getattr(person, field) != value]
    if not created and changed:
        for field in changed:
            setattr(person, field, said[field])
        person.save(update_fields=changed)
    return person
