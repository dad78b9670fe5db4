"""Policies: rules that turn labels into a verdict, in versions that never change."""

from collections.abc import Sequence
from typing import ClassVar

from django.db import models, transaction
from django.db.models import Max, Q
from django.utils import timezone

from moderation.models.access import Account, User
from moderation.models.append_only import append_only
from moderation.policies import DEFAULT_RULES, Rule, parse_rules, to_json


class PolicyQuerySet(models.QuerySet["Policy"]):
    """Policies of an account."""

    def default_for(self, account: Account) -> "Policy":
        """The account's default policy; made with the default rules where the account has none yet."""
        policy = self.filter(account=account, is_default=True).first()
        return policy or self._make_default(account)

    def _make_default(self, account: Account) -> "Policy":
        with transaction.atomic():
            Account.objects.select_for_update().get(pk=account.pk)
            policy = self.filter(account=account, is_default=True).first()
            if policy is None:
                policy = self.create(account=account, is_default=True, name=self._free_name(account))
                policy.revise(DEFAULT_RULES)
        return policy

    def _free_name(self, account: Account) -> str:
        names = ("default", *(f"default {number}" for number in range(2, 1000)))
        taken = set(self.filter(account=account, name__in=names).values_list("name", flat=True))
        return next(name for name in names if name not in taken)


class Policy(models.Model):
    """A named set of rules; what counts is its latest version."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="policies")
    name = models.CharField(max_length=120)
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[PolicyQuerySet] = PolicyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(fields=["account", "name"], name="policy_name_unique"),
            models.UniqueConstraint(fields=["account"], condition=Q(is_default=True), name="one_default_policy"),
        ]

    def __str__(self) -> str:
        return self.name

    def current(self) -> "PolicyVersion":
        """The version that judges from now on."""
        return self.versions.latest()

    def revise(self, rules: Sequence[Rule], by: User | None = None, note: str = "") -> "PolicyVersion":
        """Add a version; the ones before it stay as they were."""
        with transaction.atomic():
            Policy.objects.select_for_update().get(pk=self.pk)
            last = self.versions.aggregate(last=Max("number"))["last"] or 0
            return self.versions.create(number=last + 1, rules=to_json(rules), created_by=by, note=note)


class PolicyVersionQuerySet(models.QuerySet["PolicyVersion"]):
    """Versions of policies."""

    def judging(self, account: Account, name: str = "") -> "PolicyVersion | None":
        """What judges from now on: the latest version of the account's policy of that name, or of its default one."""
        wanted = Q(policy__name=name) if name else Q(policy__is_default=True)
        return self.filter(wanted, policy__account=account).select_related("policy").order_by("-number").first()


class PolicyVersion(models.Model):
    """One immutable version of a policy."""

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    rules = models.JSONField()
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[PolicyVersionQuerySet] = PolicyVersionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        get_latest_by = "number"
        ordering = ("policy", "-number")
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_version_unique")]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"

    def parsed(self) -> tuple[Rule, ...]:
        """The rules as the pure module takes them."""
        return parse_rules(self.rules)
