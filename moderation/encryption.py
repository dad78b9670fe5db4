"""Secrets at rest: encrypted with Fernet under ENCRYPTION_KEYS, the first of which encrypts while all decrypt."""

from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


def _box() -> MultiFernet:
    if not settings.ENCRYPTION_KEYS:
        raise ImproperlyConfigured("ENCRYPTION_KEYS is empty: set at least one Fernet key")
    try:
        return MultiFernet([Fernet(key.strip()) for key in settings.ENCRYPTION_KEYS])
    except ValueError as error:
        raise ImproperlyConfigured(f"ENCRYPTION_KEYS holds something that is no Fernet key: {error}") from None


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # the stub's two parameters do not exist at run time
    """Text that is ciphertext in the database and plain in Python."""

    def get_prep_value(self, value: Any) -> Any:
        """Encrypt on the way to the database."""
        plain = super().get_prep_value(value)
        return plain and _box().encrypt(plain.encode()).decode()

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        """Decrypt on the way back; ImproperlyConfigured when none of the keys fits."""
        if not value:
            return value
        try:
            return _box().decrypt(value.encode()).decode()
        except InvalidToken:
            raise ImproperlyConfigured("no key in ENCRYPTION_KEYS decrypts a stored secret") from None
