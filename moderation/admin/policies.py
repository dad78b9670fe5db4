"""Policies: what a verdict follows from, every version kept."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string

from moderation import handoff
from moderation.admin.rules import RulesField, in_words
from moderation.admin.scoping import AccountScoped, SameAccountForm, operator
from moderation.models import Account, Policy
from moderation.policies import DEFAULT_RULES, Outcome, Rule

VERSIONS_SHOWN = 50
NOT_SERVED = (
    "Nobody would see what these rules send to review: no active flow definition serves this policy. Save it without "
    "review rules, add it to the policies of a flow definition (Reviews, Flow definitions), then add the review rules."
)
# No flow definition can serve a policy that is not there yet.
STARTING_RULES = tuple(rule for rule in DEFAULT_RULES if rule.outcome is not Outcome.REVIEW)


class PolicyForm(SameAccountForm[Policy]):
    """The name, and the rules that judge from now on."""

    rules = RulesField(
        required=False,
        help_text="The strictest rule that fires decides: reject before review before approve; where none fires the "
        "answer is approve. A rule on a label covers the labels below it. Confidences are 0 to 100.",
    )
    note = forms.CharField(
        max_length=200, required=False, help_text="Why the rules change; kept with the version, for the record."
    )

    class Meta:
        model = Policy
        fields: ClassVar = ["account", "name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["rules"] = STARTING_RULES if self.instance._state.adding else _current_rules(self.instance)

    def clean_rules(self) -> tuple[Rule, ...]:
        """`review` needs people to go to."""
        rules: tuple[Rule, ...] = self.cleaned_data["rules"]
        if any(rule.outcome is Outcome.REVIEW for rule in rules) and not self._is_served():
            raise forms.ValidationError(NOT_SERVED)
        return rules

    def _is_served(self) -> bool:
        return not self.instance._state.adding and handoff.door().serves(self.instance)


@admin.register(Policy)
class PolicyAdmin(AccountScoped[Policy]):
    """Policies: each change of the rules is a new version, and what judged what stays known."""

    form = PolicyForm
    list_display = ("name", "is_default", "version", "created_at")
    list_select_related = ("account",)
    search_fields = ("name",)
    fields = ("account", "name", "is_default", "rules", "note", "history")
    readonly_fields = ("is_default", "history")
    actions = ("make_default",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        """With the number of the latest version."""
        return super().get_queryset(request).annotate(latest=Max("versions__number"))

    @admin.display(description="version", ordering="latest")
    def version(self, policy: Policy) -> int | None:
        """The version that judges."""
        latest: int | None = policy.latest  # type: ignore[attr-defined]  # annotated above
        return latest

    @admin.display(description="versions")
    def history(self, policy: Policy) -> str:
        """Every version with its author, its rules in words and how many verdicts followed from it."""
        if policy._state.adding:
            return "-"
        versions = policy.versions.select_related("created_by").annotate(judged=Count("verdicts"))
        rows = [(version, in_words(version.parsed())) for version in versions.order_by("-number")[:VERSIONS_SHOWN]]
        return render_to_string("admin/moderation/policy/history.html", {"rows": rows})

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: bool) -> None:
        """Save the name, and the rules as a new version where they differ from the latest."""
        obj.save()
        rules, note = form.cleaned_data["rules"], form.cleaned_data["note"]
        if obj.versions.exists() and rules == _current_rules(obj) and not note:
            return
        version = obj.revise(rules, by=operator(request), note=note)
        self.message_user(request, f"Version {version.number} of {obj} judges from now on.", messages.SUCCESS)

    @admin.action(description="Make the selected policy the default")
    def make_default(self, request: HttpRequest, queryset: "QuerySet[Policy]") -> None:
        """One policy of an account judges what names no other."""
        chosen = list(queryset.select_related("account")[:2])
        if len(chosen) != 1 or not chosen[0].versions.exists():
            self.message_user(request, "Select exactly one policy that has rules.", messages.ERROR)
            return
        policy = chosen[0]
        with transaction.atomic():
            Account.objects.select_for_update().get(pk=policy.account_id)
            Policy.objects.filter(account=policy.account, is_default=True).update(is_default=False)
            Policy.objects.filter(pk=policy.pk).update(is_default=True)
        self.log_change(request, policy, "Made the default.")
        self.message_user(request, f"{policy} is the default policy now.", messages.SUCCESS)


def _current_rules(policy: Policy) -> tuple[Rule, ...]:
    latest = policy.versions.order_by("-number").first()
    return latest.parsed() if latest else ()
