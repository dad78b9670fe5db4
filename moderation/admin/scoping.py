"""What every page of /admin/ keeps to: admins alone, each within the own account; superusers cross accounts.

Rights come from the role, not from Permission rows.  A row's account is found by `account_path`; lists, pages, pop-ups,
auto-completion, actions, filters and the choices of foreign keys all start from the queryset that it narrows.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.filters import RelatedFieldListFilter
from django.contrib.admin.options import BaseModelAdmin, InlineModelAdmin
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db.models import Field, ForeignKey, ManyToManyField, Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from moderation.models import User

M = TypeVar("M", bound=Model)
P = TypeVar("P", bound=Model)

# Counting a million rows takes longer than showing a hundred; nobody pages past the hundredth page.
MOST_COUNTED = 10_000


def operator(request: HttpRequest) -> User | None:
    """The admin who asks; None for anybody else."""
    user = request.user
    return user if isinstance(user, User) and user.has_role(User.Role.ADMIN) else None


def account_of(row: Model) -> str | None:
    """The account id of a row whose model has an account-scoped admin; None for models that belong to no account."""
    owner = admin.site.get_model_admin(type(row)) if admin.site.is_registered(type(row)) else None
    if not isinstance(owner, AccountScoped):
        return None
    value: Any = row
    for step in owner.account_path.split("__"):
        value = getattr(value, step)
    return str(value.pk if isinstance(value, Model) else value)


class SameAccountForm(forms.ModelForm[M]):
    """Refuses a row of another account as the value of a foreign key, also from a superuser who sees both."""

    def clean(self) -> dict[str, Any]:
        """Compare the account of every chosen row with the account of this one."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        own = cleaned.get("account") or getattr(self.instance, "account_id", None)
        own_id = own.pk if isinstance(own, Model) else own
        for name, value in list(cleaned.items()):
            chosen = [value] if isinstance(value, Model) else value if isinstance(value, QuerySet) else []
            if own_id and any(account_of(row) not in (own_id, None) for row in chosen):
                self.add_error(name, "This belongs to another account.")
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """A row's account is never edited, yet "unique in the account" is to be checked here, not by the database."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # not in the stubs
        return excluded if self.instance._state.adding else excluded - {"account"}


class AccountRelatedFilter(RelatedFieldListFilter):
    """A list filter over a foreign key that offers only rows the admin may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: "admin.ModelAdmin[Any]") -> list[Any]:
        """The choices, in the related admin's order."""
        rows = _visible(model_admin, field.remote_field.model, request)
        return [(str(row.pk), str(row)) for row in rows]


class CappedPaginator(Paginator[M]):
    """Counts no further than MOST_COUNTED."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or MOST_COUNTED where there are more."""
        rows = self.object_list
        return rows.order_by().values("pk")[:MOST_COUNTED].count() if isinstance(rows, QuerySet) else len(rows)


class _OperatorsOnly(BaseModelAdmin[M]):
    """The permissions and the foreign keys, for pages and inlines alike."""

    can_add: ClassVar[bool] = True
    can_change: ClassVar[bool] = True
    can_delete_rows: ClassVar[bool] = False
    admin_site: admin.AdminSite

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Admins; which rows is decided by the queryset."""
        return operator(request) is not None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Admins, where rows are made by hand at all."""
        return self.can_add and operator(request) is not None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Admins, where rows are changed by hand at all."""
        return self.can_change and operator(request) is not None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Admins, where rows may go at all: most are kept for the record."""
        return self.can_delete_rows and operator(request) is not None

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Choices from the rows that the admin may see; the own account is chosen already."""
        kwargs["queryset"] = _visible(self, db_field.remote_field.model, request)
        user = operator(request)
        if db_field.name == "account" and user is not None and not user.is_superuser:
            kwargs |= {"initial": user.account_id, "empty_label": None}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Choices from the rows that the admin may see."""
        kwargs["queryset"] = _visible(self, db_field.remote_field.model, request)
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class AccountScoped(_OperatorsOnly[M], admin.ModelAdmin[M]):
    """Base of every page in /admin/.

    `account_path` leads from a row to its account ("account", "submission__account"; "pk" for the account itself).
    `can_add`, `can_change` and `can_delete_rows` say what is done by hand at all.
    """

    account_path: ClassVar[str] = "account"
    form: type[forms.ModelForm[M]] = SameAccountForm
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Admins."""
        return operator(request) is not None

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        """The rows of the admin's account; all of them for superusers, none for anybody else."""
        rows, user = super().get_queryset(request), operator(request)
        if user is None:
            return rows.none()
        return rows if user.is_superuser else rows.filter(**{self.account_path: user.account_id})

    def get_list_display(self, request: HttpRequest) -> Any:
        """The account's column is for those who see more than one."""
        columns = list(super().get_list_display(request))
        return [*columns, "account"] if self._crosses(request) else columns

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Filters over foreign keys offer own rows alone; an account filter for those who see more than one."""
        wanted: Iterable[Any] = super().get_list_filter(request)
        filters = [self._scoped_filter(each) for each in wanted]
        return [*filters, ("account", AccountRelatedFilter)] if self._crosses(request) else filters

    def get_readonly_fields(self, request: HttpRequest, obj: M | None = None) -> Any:
        """A row never moves to another account."""
        fixed = list(super().get_readonly_fields(request, obj))
        return [*fixed, "account"] if obj is not None and self._has_account else fixed

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        """As Django's; a NUL, which PostgreSQL refuses, finds nothing."""
        if "\0" in search_term:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    @property
    def _has_account(self) -> bool:
        return self.account_path == "account"

    def _crosses(self, request: HttpRequest) -> bool:
        user = operator(request)
        return self._has_account and user is not None and user.is_superuser

    def _scoped_filter(self, wanted: Any) -> Any:
        if not isinstance(wanted, str):
            return wanted
        try:
            field: Field[Any, Any] = self.opts.get_field(wanted)  # type: ignore[assignment]  # narrowed below
        except FieldDoesNotExist:
            return wanted
        return (wanted, AccountRelatedFilter) if field.is_relation else wanted


class ReadOnly(AccountScoped[M]):
    """A page for rows that nobody makes or changes by hand."""

    can_add = False
    can_change = False


class AccountScopedInline(_OperatorsOnly[P], InlineModelAdmin[P, M]):
    """Base of inlines; the row they hang on is scoped already."""

    extra = 0


class ReadOnlyInline(AccountScopedInline[P, M]):
    """An inline that only shows."""

    can_add = False
    can_change = False
    can_delete = False


def _visible(page: BaseModelAdmin[Any], model: type[Model], request: HttpRequest) -> QuerySet[Any]:
    """The rows of a related model that the admin may see; none of a model that has no scoped page to say which."""
    owner = page.admin_site.get_model_admin(model) if page.admin_site.is_registered(model) else None
    return owner.get_queryset(request) if isinstance(owner, AccountScoped) else model._default_manager.none()


__all__: Sequence[str] = (
    "AccountRelatedFilter",
    "AccountScoped",
    "AccountScopedInline",
    "CappedPaginator",
    "ReadOnly",
    "ReadOnlyInline",
    "SameAccountForm",
    "account_of",
    "operator",
)
