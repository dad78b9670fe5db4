"""Webhook endpoints, the messages to them and how their delivery went."""

from typing import ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from moderation import webhooks
from moderation.admin.scoping import AccountScoped, ReadOnly, ReadOnlyInline, SameAccountForm
from moderation.admin.shown_once import shown_once
from moderation.guarded_http import TargetError
from moderation.models import EVENTS, DeliveryAttempt, OutboxMessage, WebhookEndpoint


class WebhookForm(SameAccountForm[WebhookEndpoint]):
    """Where to, and which events."""

    url = forms.URLField(max_length=500, assume_scheme="https", label="URL")
    events = forms.MultipleChoiceField(
        choices=[(event, event) for event in EVENTS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: all of them.",
    )

    class Meta:
        model = WebhookEndpoint
        fields: ClassVar = ["account", "url", "events", "is_active"]

    def clean_url(self) -> str:
        """Public and https, or a host that the installation allows."""
        url = str(self.cleaned_data["url"])
        try:
            webhooks.check(url)
        except TargetError as error:
            raise forms.ValidationError(str(error)) from None
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(AccountScoped[WebhookEndpoint]):
    """Webhook endpoints; the signing secret is made here and shown when asked for."""

    form = WebhookForm
    list_display = ("url", "wanted", "is_active", "created_at")
    list_filter = ("is_active",)
    list_select_related = ("account",)
    search_fields = ("url",)
    fields = ("account", "url", "events", "is_active", "signing_secret")
    readonly_fields = ("signing_secret",)

    @admin.display(description="events")
    def wanted(self, endpoint: WebhookEndpoint) -> str:
        """The events it asked for."""
        return ", ".join(endpoint.events) or "all"

    @admin.display(description="signing secret")
    def signing_secret(self, endpoint: WebhookEndpoint) -> str:
        """The way to it."""
        if endpoint._state.adding:
            return "made when this is saved"
        url = reverse("admin:moderation_webhookendpoint_secret", args=[endpoint.pk])
        return format_html('<a href="{}">Show the signing secret</a>', url)

    def get_urls(self) -> list[URLPattern]:
        """With the page that shows the secret."""
        view = self.admin_site.admin_view(self.secret_view)
        return [path("<path:object_id>/secret/", view, name="moderation_webhookendpoint_secret"), *super().get_urls()]

    def secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then show; the record says who looked."""
        endpoint = self.get_object(request, object_id)
        if endpoint is None:
            raise Http404("No such webhook endpoint.")
        if request.method == "POST":
            self.log_change(request, endpoint, "Looked at the signing secret.")
            return shown_once(request, self, endpoint, "Signing secret", _secrets(endpoint))
        context = {
            **self.admin_site.each_context(request),
            "title": "Show the signing secret",
            "opts": self.opts,
            "row": endpoint,
        }
        return TemplateResponse(request, "admin/moderation/webhookendpoint/secret.html", context)

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the signing secret that was just made."""
        return shown_once(request, self, obj, "The webhook endpoint is saved", _secrets(obj))


class DeliveryAttemptInline(
    ReadOnlyInline[DeliveryAttempt, OutboxMessage], admin.TabularInline[DeliveryAttempt, OutboxMessage]
):
    """Every try."""

    model = DeliveryAttempt
    fields = ("created_at", "status_code", "error")
    readonly_fields = fields


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly[OutboxMessage]):
    """Messages, waiting and sent."""

    list_display = ("id", "event", "endpoint", "status", "attempts", "not_before", "created_at")
    list_filter = ("status", "kind", "event", "endpoint")
    list_select_related = ("account", "endpoint")
    search_fields = ("=id",)
    sortable_by = ()
    actions = ("redeliver",)
    inlines = (DeliveryAttemptInline,)

    @admin.action(description="Send the selected messages again", permissions=["view"])
    def redeliver(self, request: HttpRequest, queryset: "QuerySet[OutboxMessage]") -> None:
        """What was delivered, given up or cancelled is due again."""
        chosen = list(queryset.values_list("pk", flat=True))
        count = webhooks.redeliver(OutboxMessage.objects.filter(pk__in=chosen))
        for message in OutboxMessage.objects.filter(pk__in=chosen, attempts=0):
            self.log_change(request, message, "Sent again.")
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, f"{count} to be sent again; waiting ones are left as they are.", level)


def _secrets(endpoint: WebhookEndpoint) -> list[tuple[str, str]]:
    return [("URL", endpoint.url), ("Signing secret", endpoint.secret)]
