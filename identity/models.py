"""People as Entra knows them, and the optional login of each.

A Person exists before any sign-in, because catalogue sync meets people as eligible principals
and approvers first. Identity is (tenant id, object id); names and addresses are for display.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower, Trim


class Person(models.Model):
    """Somebody in the directory of the one tenant this portal serves."""

    tenant_id = models.CharField(max_length=36)
    object_id = models.CharField(max_length=36)
    display_name = models.CharField(max_length=256)
    given_name = models.CharField(max_length=128, blank=True)
    surname = models.CharField(max_length=128, blank=True)
    user_principal_name = models.CharField(max_length=256, blank=True)
    mail = models.CharField(max_length=320, blank=True)
    # What all accounts of one human have in common here (`identity.linking`): for most, the one value that links them.
    employee_id = models.CharField(max_length=64, blank=True)
    # Every value of this account that links it, as `normal` writes them: what the directory said of it alone.
    marks = ArrayField(models.CharField(max_length=64), default=list, db_default=[])
    department = models.CharField(max_length=128, blank=True)
    job_title = models.CharField(max_length=128, blank=True)
    enabled = models.BooleanField(default=True)
    guest = models.BooleanField(default=False)
    # IAM Identity Center's id of the same person, "" until catalogue sync has joined the two.
    store_user_id = models.CharField(max_length=47, blank=True)
    synced_at = models.DateTimeField(null=True)  # business time of the last look at the directory
    # Their manager's object id, read only while a rule describes somebody by it; "" when they have none. Business time.
    manager_object_id = models.CharField(max_length=36, blank=True, default="", db_default="")
    manager_read_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "object_id"], name="person_unique_in_tenant"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["display_name"], name="person_by_name"),
            models.Index(fields=["store_user_id"], name="person_by_store_user"),
            models.Index(Lower(Trim("employee_id")), name="person_by_mark"),
            GinIndex(fields=["marks"], name="person_by_any_mark"),
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def mark(self) -> str:
        """What accounts of one human have in common, however it is spelled (`identity.humans`); "" where there is none."""
        return normal(self.employee_id)


def normal(value: str) -> str:
    """A value that links accounts, without what tells no humans apart: case, and blanks around it."""
    return value.strip(" ").lower()


class DirectoryGroup(models.Model):
    """A group whose members matter to the portal: it approves, or it is eligible for a PIM group."""

    object_id = models.CharField(max_length=36, unique=True)
    display_name = models.CharField(max_length=256, blank=True)
    missing = models.BooleanField(default=False)  # the directory no longer has it
    synced_at = models.DateTimeField(null=True)
    members = models.ManyToManyField(Person, through="DirectoryMembership", related_name="directory_groups")

    def __str__(self) -> str:
        return self.display_name or self.object_id


class DirectoryMembership(models.Model):
    """A person in a directory group, nested membership flattened; a snapshot with the group's age."""

    group = models.ForeignKey(DirectoryGroup, on_delete=models.CASCADE)
    person = models.ForeignKey(Person, on_delete=models.CASCADE)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "person"], name="directory_membership_once"),
        ]


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(subject=username)

    def create_user(self, *, person: Person, **extra: Any) -> User:
        """The login of a person; there are no passwords in this product."""
        user = self.model(person=person, subject=f"{person.tenant_id}:{person.object_id}", **extra)
        user.set_unusable_password()
        user.save(using=self._db)
        return user


class AppRole(models.TextChoices):
    """App roles of the sign-in application in Entra; everyone who signs in is an employee."""

    AUDITOR = "Auditor", "Auditor"
    OPERATOR = "Operator", "Operator"


class User(AbstractBaseUser):
    """A Person's login, made at the first sign-in."""

    person = models.OneToOneField(Person, on_delete=models.PROTECT, related_name="user")
    subject = models.CharField(max_length=80, unique=True)  # "<tenant id>:<object id>"
    app_roles = models.JSONField(default=list)  # as the last ID token said; refreshed at every sign-in
    is_active = models.BooleanField(default=True)
    # Whether single keys act on pages; whoever speaks to their computer, or types by chance, switches it off.
    shortcuts = models.BooleanField(default=True, db_default=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "subject"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.person.display_name

    @property
    def is_auditor(self) -> bool:
        return AppRole.AUDITOR in self.app_roles

    @property
    def is_operator(self) -> bool:
        return AppRole.OPERATOR in self.app_roles

    # Nobody has staff rights: the Django admin is not mounted.
    is_staff = False


class SignIn(models.Model):
    """One browser session of a user: when it began and was last used, and what Entra calls it.

    Both instants are real time. Idle sessions end by `seen_at`, all by `started_at`; Entra's
    front-channel sign-out finds sessions by `sid`.
    """

    session_key = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_ins")
    sid = models.CharField(max_length=64, blank=True)  # Entra's session id, an optional claim
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["sid"], name="sign_in_by_sid")]

    def __str__(self) -> str:
        return f"{self.user} since {self.started_at:%Y-%m-%d %H:%M}"


class ActivationMode(models.Model):
    """How one PIM group is activated; without a row, in application mode. Read at sign-in, so it lives here."""

    group_object_id = models.CharField(max_length=36, unique=True)
    as_person = models.BooleanField()  # with the requester's own token
    changed_at = models.DateTimeField()  # real time

    def __str__(self) -> str:
        return f"{self.group_object_id}: {'as the person' if self.as_person else 'application'}"


class PersonalToken(models.Model):
    """The refresh token of a person's last sign-in, sealed for the worker. One a person; all instants real time.

    The web process has no right to read `sealed`: it never loads a whole row.
    """

    person = models.OneToOneField(Person, on_delete=models.CASCADE, related_name="personal_token")
    sealed = models.BinaryField()  # identity.personal.sealing, bound to the person's object id
    key_id = models.CharField(max_length=16)
    stored_at = models.DateTimeField()
    expires_at = models.DateTimeField()  # when the portal deletes it, whatever Entra says

    def __str__(self) -> str:
        return f"sealed for {self.key_id} at {self.stored_at:%Y-%m-%d %H:%M}"


# Further rows about people, beside what they serve; they name models of this module.
import identity.absences.models  # noqa: E402, F401 - so that Django finds them
