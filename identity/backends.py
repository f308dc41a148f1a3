"""Whom a session belongs to. Nobody authenticates here: only the sign-in at Entra starts a session."""

from __future__ import annotations

from django.contrib.auth.backends import BaseBackend

from identity.models import User


class SignedInBackend(BaseBackend):
    """Loads the user of a session together with the person, which every page needs."""

    def get_user(self, user_id: int) -> User | None:
        """The user, even one who may no longer sign in: SessionGuardMiddleware ends that session."""
        return User.objects.select_related("person").filter(pk=user_id).first()
