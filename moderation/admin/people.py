"""Accounts, users and access keys."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from moderation.admin.scoping import AccountScoped, SameAccountForm
from moderation.admin.shown_once import shown_once
from moderation.aws import access_policy
from moderation.models import AccessKey, Account, IssuedKey, User


@admin.register(Account)
class AccountAdmin(AccountScoped[Account]):
    """Tenants: superusers make and close them, an admin names the own one."""

    account_path = "pk"
    list_display = ("id", "name", "taxonomy", "is_active", "created_at")
    search_fields = ("=id", "name")
    fields = ("id", "name", "taxonomy", "is_active", "created_at")
    readonly_fields = ("created_at",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return bool(request.user.is_superuser) and super().has_add_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        """The id never changes; only superusers close an account."""
        fixed = [*super().get_readonly_fields(request, obj), *(["id"] if obj else [])]
        return fixed if request.user.is_superuser else [*fixed, "is_active"]


@admin.register(User)
class UserAdminPage(AccountScoped[User], UserAdmin[User]):
    """People.  Only superusers see superusers; nobody closes or demotes themselves."""

    form = UserChangeForm  # type: ignore[assignment]  # a ModelForm that is generic in its own way
    add_form = AdminUserCreationForm
    list_display = ("username", "role", "email", "is_active", "last_login")
    list_filter = ("role", "is_active")
    list_select_related = ("account",)
    search_fields = ("username", "email", "first_name", "last_name")
    ordering = ("username",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Place", {"fields": ("account", "role", "is_active")}),
        ("Record", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("account", "username", "role", "usable_password", "password1", "password2")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Whoever could set a superuser's password would be one."""
        users = super().get_queryset(request)
        return users if request.user.is_superuser else users.filter(is_superuser=False)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """An admin's own role and activity are somebody else's to change."""
        own = obj is not None and obj.pk == request.user.pk
        return [*super().get_readonly_fields(request, obj), *(["role", "is_active"] if own else [])]


class AccessKeyForm(SameAccountForm[AccessKey]):
    """A key's name and what it may do."""

    def clean_policy(self) -> object:
        """Refuse a policy that could not be obeyed."""
        policy = self.cleaned_data["policy"]
        if policy is None:
            return None
        try:
            access_policy.parse(policy)
        except access_policy.PolicyError as error:
            raise forms.ValidationError(str(error)) from None
        return policy


@admin.register(AccessKey)
class AccessKeyAdmin(AccountScoped[AccessKey]):
    """Access keys: issued once, revoked, never shown again."""

    form = AccessKeyForm
    list_display = ("key_id", "name", "user", "is_restricted", "created_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("account", "user")
    search_fields = ("=key_id", "name", "user__username")
    autocomplete_fields = ("user",)
    fields = ("account", "name", "user", "policy", "key_id", "created_at", "last_used_at", "revoked_at")
    readonly_fields = ("key_id", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke_selected",)

    @admin.display(boolean=True, description="restricted")
    def is_restricted(self, key: AccessKey) -> bool:
        """Whether a policy says what it may do."""
        return key.policy is not None

    def get_readonly_fields(self, request: HttpRequest, obj: AccessKey | None = None) -> Any:
        """Whom a key belongs to is settled when it is issued; a revoked key is a record."""
        fixed = [*super().get_readonly_fields(request, obj), *(["user"] if obj else [])]
        return [*fixed, "name", "policy"] if obj and obj.revoked_at else fixed

    def save_model(self, request: HttpRequest, obj: AccessKey, form: Any, change: bool) -> None:
        """Issue the key; the page after this shows secret and token."""
        if change:
            obj.save(update_fields=["name", "policy"])
            return
        issued = AccessKey.objects.issue(obj.account, obj.name, obj.user, obj.policy)
        obj.pk, obj.key_id = issued.key.pk, issued.key.key_id
        obj.issued = issued  # type: ignore[attr-defined]  # for response_add alone

    def response_add(self, request: HttpRequest, obj: AccessKey, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that shows the credential."""
        issued: IssuedKey = obj.issued  # type: ignore[attr-defined]
        rows = [("Account", obj.account_id), ("Access key id", obj.key_id)]
        secrets = [("Secret access key", issued.key.secret), ("Bearer token", issued.token)]
        return shown_once(request, self, obj, "The key is issued", rows + secrets)

    @admin.action(description="Revoke selected access keys")
    def revoke_selected(self, request: HttpRequest, queryset: "QuerySet[AccessKey]") -> HttpResponse | None:
        """Ask first: what uses the keys stops at once."""
        keys = list(queryset.filter(revoked_at=None).select_related("user"))
        if request.POST.get("confirmed"):
            for key in keys:
                key.revoke()
                self.log_change(request, key, "Revoked.")
            self.message_user(request, f"{len(keys)} revoked.", messages.SUCCESS)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Revoke access keys",
            "opts": self.opts,
            "keys": keys,
            "now": timezone.now(),
        }
        return TemplateResponse(request, "admin/moderation/accesskey/revoke.html", context)
