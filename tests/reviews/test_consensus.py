"""What several reviewers together say of one item."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation import taxonomy
from moderation.policies import Outcome
from reviews.consensus import Answer, Consensus, LabelCount, State, named, settle


def approve(*labels: str, judged: Sequence[str] | None = None) -> Answer:
    return Answer(Outcome.APPROVE, frozenset(labels), None if judged is None else frozenset(judged))


def reject(*labels: str, judged: Sequence[str] | None = None) -> Answer:
    return Answer(Outcome.REJECT, frozenset(labels), None if judged is None else frozenset(judged))


SHOWN = ("Weapons", "Violence", "Alcohol")


def stands(consensus: Consensus) -> tuple[set[str], set[str], set[str]]:
    """Present, absent, undecided."""
    return set(consensus.present), set(consensus.absent), set(consensus.undecided)


def test_one_reviewer_settles_alone():
    consensus = settle([reject("Weapons", judged=SHOWN)], task_count=1)
    assert (consensus.state, consensus.outcome) == (State.SETTLED, Outcome.REJECT)
    assert stands(consensus) == ({"Weapons", "Violence"}, {"Alcohol"}, set())
    assert consensus.agreement == 1.0


def test_open_until_all_seats_have_answered_however_clear_it_is():
    consensus = settle([reject("Weapons"), reject("Weapons")], task_count=3)
    assert (consensus.state, consensus.outcome, consensus.present) == (State.OPEN, None, frozenset())
    assert consensus.undecided == {"Weapons", "Violence"}
    assert consensus.counts["Violence"] == LabelCount(present=2, absent=0, silent=0)
    assert settle([], task_count=1).state is State.OPEN
    assert settle([], task_count=1).agreement is None


def test_two_of_three_carry_the_outcome_and_the_labels():
    answers = [reject("Weapons", judged=SHOWN), reject("Weapons", "Alcohol", judged=SHOWN), approve(judged=SHOWN)]
    consensus = settle(answers, task_count=3)
    assert consensus.outcome is Outcome.REJECT
    assert stands(consensus) == ({"Weapons", "Violence"}, {"Alcohol"}, set())
    assert consensus.counts["Weapons"] == LabelCount(present=2, absent=1, silent=0)
    assert consensus.agreement == pytest.approx(2 / 3)


def test_naming_a_label_names_its_ancestors():
    answers = [reject("Blood & Gore"), reject("Physical Violence"), reject("Weapons")]
    consensus = settle(answers, task_count=3)
    assert consensus.present == {"Violence", "Graphic Violence"}
    assert consensus.undecided == {"Blood & Gore", "Physical Violence", "Weapons"}
    assert named(reject("Blood & Gore")) == {"Blood & Gore", "Graphic Violence", "Violence"}


def test_a_label_above_that_is_denied_denies_the_ones_below():
    answers = [reject("Weapons"), approve(judged=["Violence"]), approve(judged=["Violence"])]
    assert settle(answers, task_count=3).absent == {"Weapons", "Violence"}


def test_a_denied_label_says_nothing_of_the_one_above():
    consensus = settle([approve("Violence", judged=["Weapons"])], task_count=1)
    assert stands(consensus) == ({"Violence"}, {"Weapons"}, set())


def test_a_tie_on_a_label_leaves_it_undecided_and_calls_no_lead():
    consensus = settle([reject("Weapons", judged=SHOWN), reject("Alcohol", judged=SHOWN)], task_count=2)
    assert (consensus.state, consensus.outcome) == (State.SETTLED, Outcome.REJECT)
    assert stands(consensus) == (set(), set(), {"Weapons", "Violence", "Alcohol"})


def test_silence_is_not_denial():
    consensus = settle([reject("Weapons"), reject(), reject()], task_count=3)
    assert stands(consensus) == (set(), set(), {"Weapons", "Violence"})
    assert consensus.counts["Weapons"] == LabelCount(present=1, absent=0, silent=2)


def test_a_tie_on_the_outcome_needs_a_lead():
    consensus = settle([reject("Weapons"), approve("Weapons")], task_count=2)
    assert (consensus.state, consensus.outcome, consensus.present) == (State.NEEDS_LEAD, None, frozenset())
    assert consensus.agreement == 0.5


TIED = [reject("Weapons", judged=SHOWN), approve("Alcohol", judged=SHOWN)]


def test_the_lead_decides_outcome_and_labels():
    consensus = settle(TIED, task_count=2, lead=approve("Gambling"))
    assert (consensus.state, consensus.outcome, consensus.agreement) == (State.SETTLED, Outcome.APPROVE, 0.5)
    assert stands(consensus) == ({"Gambling"}, {"Weapons", "Violence", "Alcohol"}, set())
    assert consensus.counts["Gambling"] == LabelCount(present=0, absent=0, silent=2)


def test_a_lead_asked_about_some_labels_decides_those():
    consensus = settle(TIED, task_count=2, lead=reject("Weapons", judged=["Weapons"]))
    assert stands(consensus) == ({"Weapons", "Violence"}, set(), {"Alcohol"})


def test_the_lead_may_speak_before_all_seats_have():
    assert settle([reject()], task_count=3, lead=approve()).outcome is Outcome.APPROVE


def test_labels_outside_the_taxonomy_stand_alone():
    consensus = settle([reject("House Rule 7", judged=["Other"])], task_count=1)
    assert stands(consensus) == ({"House Rule 7"}, {"Other"}, set())


def test_a_person_cannot_answer_review():
    with pytest.raises(ValueError, match="approve or reject, not review"):
        Answer(Outcome.REVIEW)


LABELS = st.frozensets(st.sampled_from(list(taxonomy.LABELS)), max_size=5)
ANSWERS = st.lists(
    st.builds(Answer, st.sampled_from([Outcome.APPROVE, Outcome.REJECT]), LABELS, st.none() | LABELS), max_size=5
)


@given(ANSWERS, st.integers(1, 3), st.randoms(use_true_random=False))
def test_labels_are_present_absent_or_undecided_and_order_does_not_matter(answers, task_count, random):
    consensus = settle(answers, task_count)
    parts = (consensus.present, consensus.absent, consensus.undecided)
    assert sum(map(len, parts)) == len(frozenset().union(*parts)) == len(consensus.counts)
    for label in consensus.present:
        assert {above.name for above in taxonomy.ancestors(label)} <= consensus.present
    for count in consensus.counts.values():
        assert count.present + count.absent + count.silent == len(answers)
    random.shuffle(answers)
    assert settle(answers, task_count) == consensus


@given(ANSWERS, st.integers(1, 3), ANSWERS.filter(bool))
def test_with_a_lead_it_is_always_settled_as_the_lead_says(answers, task_count, leads):
    consensus = settle(answers, task_count, lead=leads[0])
    assert (consensus.state, consensus.outcome) == (State.SETTLED, leads[0].outcome)
    assert consensus.present == named(leads[0])
    assert not consensus.present & consensus.absent
