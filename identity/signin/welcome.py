"""From verified claims to the user who signs in. Only (tenant id, object id) decides who that is."""

from __future__ import annotations

from django_subatomic.db import transaction

from identity.models import AppRole, Person, User
from identity.signin.entra import Claims
from identity.signin.problems import DISABLED, SignInError

# What the web process may write of a person; the directory sync knows better and more.
_LENGTHS = {"display_name": 256, "user_principal_name": 256}


def welcome(claims: Claims) -> tuple[User, bool]:
    """The user of these claims, brought up to date, and whether they sign in for the first time.

    Raises SignInError for somebody whom the directory, or the portal, has switched off.
    """
    with transaction():
        # Locked, so that two first sign-ins at once make one user.
        person = Person.objects.select_for_update().get(pk=_person(claims).pk)
        user = User.objects.filter(person=person).first()
        if not person.enabled or (user is not None and not user.is_active):
            raise SignInError(DISABLED, tenant_id=claims.tenant_id, object_id=claims.object_id)
        app_roles = sorted({role for role in claims.app_roles if role in AppRole.values})
        if user is None:
            return User.objects.create_user(person=person, app_roles=app_roles), True
        if user.app_roles != app_roles:
            user.app_roles = app_roles
            user.save(update_fields=["app_roles"])
        user.person = person
        return user, False


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
