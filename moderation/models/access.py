"""Who may do what: accounts, users with a role, and access keys."""

import base64
import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from moderation.encryption import EncryptedTextField

KEY_ID_PREFIX = "SLAK"
TOKEN_PREFIX = "sl_"  # noqa: S105  (a marker that secret scanners can look for, not a secret)


def new_key_id() -> str:
    """Twenty characters like an AWS access key id: our prefix and 80 random bits in base 32."""
    return KEY_ID_PREFIX + base64.b32encode(secrets.token_bytes(10)).decode()


def new_secret() -> str:
    """Forty characters like an AWS secret access key: 240 random bits, URL-safe base 64."""
    return secrets.token_urlsafe(30)


def digest(token: str) -> str:
    """SHA-256 of a bearer token, in hex.  The token is 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


class Account(models.Model):
    """A tenant: every owned row, every ARN and every lookup carries its 12-digit id."""

    class Taxonomy(models.TextChoices):
        """The names in which the AWS face answers."""

        V7 = "7.0", "7.0"
        V6_1 = "6.1", "6.1"

    id = models.CharField(
        primary_key=True, max_length=12, validators=[RegexValidator(r"^[0-9]{12}\Z", "An account id is twelve digits.")]
    )
    name = models.CharField(max_length=120)
    taxonomy = models.CharField(max_length=8, choices=Taxonomy, default=Taxonomy.V7)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class User(AbstractUser):
    """A person, in exactly one account; only superusers cross accounts."""

    class Role(models.TextChoices):
        """What a person is there for."""

        ADMIN = "admin", "Admin"
        LEAD = "lead", "Lead"
        REVIEWER = "reviewer", "Reviewer"
        UPLOADER = "uploader", "Uploader"
        AUDITOR = "auditor", "Auditor"
        LEGAL = "legal", "Legal"

    account = models.ForeignKey(Account, models.PROTECT, related_name="users")
    role = models.CharField(max_length=12, choices=Role, default=Role.REVIEWER)

    REQUIRED_FIELDS: ClassVar[list[str]] = ["account"]
    objects: ClassVar[UserManager["User"]] = UserManager()  # type: ignore[assignment]  # narrowed from UserManager[Self]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; admins may enter /admin/, whoever made them."""
        self.is_staff = self.is_superuser or self.role == self.Role.ADMIN
        super().save(*args, **kwargs)

    def has_role(self, *roles: str) -> bool:
        """Whether this person is active and has one of the roles; superusers count as admins."""
        return self.is_active and (self.role in roles or (self.is_superuser and self.Role.ADMIN in roles))


class AccessKeyQuerySet(models.QuerySet["AccessKey"]):
    """Access keys, asked for in the words of the two faces that use them."""

    def live(self, key_id: str) -> "AccessKey | None":
        """The key of that id, where it opens anything, or None."""
        return self._usable(key_id=key_id)

    def by_token(self, token: str) -> "AccessKey | None":
        """The key whose bearer token this is, where it opens anything, or None."""
        return self._usable(token_digest=digest(token))

    def _usable(self, **unique: str) -> "AccessKey | None":
        try:
            key = self.select_related("account", "user").get(**unique)
        except AccessKey.DoesNotExist:
            return None
        return key if key.is_usable else None

    def issue(self, account: Account, name: str, user: User | None = None, policy: object = None) -> "IssuedKey":
        """Make one credential in two forms; secret and token are shown here and never again."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        key = self.create(
            account=account, user=user, name=name, policy=policy, secret=new_secret(), token_digest=digest(token)
        )
        return IssuedKey(key, token)


class AccessKey(models.Model):
    """One credential, two forms: an AWS-style key pair (secret readable, for SigV4) and a REST token (digest only)."""

    key_id = models.CharField(max_length=32, unique=True, default=new_key_id, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="access_keys")
    user = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="access_keys")
    name = models.CharField(max_length=120)
    secret = EncryptedTextField(default=new_secret, editable=False)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    policy = models.JSONField(
        null=True, blank=True, help_text="IAM-like statements; empty: full rights in the account."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[models.Manager["AccessKey"]] = AccessKeyQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.key_id} ({self.name})"

    @property
    def is_usable(self) -> bool:
        """Whether it opens anything: not revoked, of an active account and, where it belongs to one, an active user."""
        return self.revoked_at is None and self.account.is_active and (self.user is None or self.user.is_active)

    def touch(self) -> None:
        """Note the use, at most once a minute: a busy key must not become a hot row."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > timedelta(minutes=1):
            AccessKey.objects.filter(pk=self.pk).update(last_used_at=now)

    def revoke(self) -> None:
        """Close the key at once; the row stays for the record."""
        self.revoked_at = timezone.now()
        self.save(update_fields=["revoked_at"])


class IssuedKey:
    """A key just made, with the token that only its maker sees."""

    def __init__(self, key: AccessKey, token: str) -> None:
        self.key = key
        self.token = token

    def as_json(self) -> dict[str, str]:
        """The four fields that `access_key create --json` prints."""
        return {
            "AccessKeyId": self.key.key_id,
            "SecretAccessKey": self.key.secret,
            "Token": self.token,
            "AccountId": self.key.account_id,
        }
