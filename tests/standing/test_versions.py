"""Other words need another check and approval; whoever came before keeps theirs."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from app import tenancy
from app.campaigns import approval, lifecycle, preflight, preflight_result, readiness, standing, standing_line
from app.extensions import db
from app.intake.rows import single_entry
from app.models import Campaign, Recipient
from app.problems import Refused
from app.standing.adding import Added
from app.states.vocabulary import CampaignState
from sandbox.harness import Sandbox
from tests import factories
from tests.standing.conftest import Line, somebody

Opened = Callable[..., Line]
_OTHER = "【みどり信販】{氏名}様 別の言葉です。{リンク}"


def rewritten(line: Line) -> int:
    """Change the words in a draft of the line's next version."""
    with tenancy.tenant(line.tenant_id):
        draft_id = standing.new_version(line.campaign_id, user_id=line.user_id)
        draft = db.session.get_one(Campaign, draft_id)
        draft.sms_text = _OTHER
        lifecycle.touch(draft)
        db.session.commit()
        return draft_id


def sent(sandbox: Sandbox) -> list[str]:
    """Return the words that left, without the link."""
    return sorted(message["body"].partition("http")[0] for message in sandbox.messages())


def test_words_change_only_by_a_check_and_a_launch(line: Line) -> None:
    draft_id = rewritten(line)
    with tenancy.tenant(line.tenant_id):
        assert standing.new_version(line.campaign_id, user_id=line.user_id) == draft_id
        codes = {item.problem.code for item in readiness.missing(db.session.get_one(Campaign, draft_id))}
        assert codes == {"check_missing"}
    assert line.added().campaign_id == line.campaign_id
    line.launch(draft_id)
    assert line.added(somebody(2)).campaign_id == draft_id
    assert line.added(somebody(3), to=draft_id).campaign_id == draft_id


def test_people_in_flight_keep_their_words(line: Line, sandbox: Sandbox) -> None:
    line.added(somebody(1))
    draft_id = rewritten(line)
    line.launch(draft_id)
    line.added(somebody(2))
    line.send()
    assert sent(sandbox) == ["【みどり信販】佐藤 1様 ご予約の確認です。", "【みどり信販】佐藤 2様 別の言葉です。"]
    assert line.state(line.campaign_id) == "completed"
    assert line.state(draft_id) == "sending"


def test_a_press_of_before_the_change_is_not_a_second_person(line: Line) -> None:
    nameless = somebody(管理番号="")
    first = line.added(nameless, once="press", only_this_version=True)
    line.launch(rewritten(line))
    again = line.add(nameless, once="press", only_this_version=True)
    assert isinstance(again, Added)
    assert (again.recipient_id, again.again) == (first.recipient_id, True)
    assert line.refused(somebody(2), only_this_version=True) == [("standing_words_changed", None)]
    line.added(somebody(3))
    assert line.refused(somebody(3)) == [("standing_reference_taken", "管理番号")]


def test_a_reference_of_an_earlier_version_is_taken(line: Line) -> None:
    line.added()
    line.launch(rewritten(line))
    assert line.refused() == [("standing_reference_taken", "管理番号")]


def test_a_second_person_approves_whatever_the_number(line: Line) -> None:
    line.company(approval_above=100_000)
    draft_id = rewritten(line)
    manager = factories.user(line.tenant_id, role="manager")
    with tenancy.tenant(line.tenant_id):
        digest = preflight.run(draft_id).digest
        lifecycle.launch(draft_id, user_id=line.user_id, digest=digest)
    assert line.state(draft_id) == CampaignState.APPROVAL
    assert line.added().campaign_id == line.campaign_id
    with tenancy.tenant(line.tenant_id):
        approval.approve(draft_id, user_id=manager, role="manager", digest=digest)
    assert line.added(somebody(2)).campaign_id == draft_id


@pytest.mark.parametrize("change", [{"day_limit": 9}, {"profile": "collection"}, {"send_window": {"days": {}}}])
def test_limit_and_hours_are_checked_too(line: Line, change: dict[str, object]) -> None:
    with tenancy.tenant(line.tenant_id):
        draft = db.session.get_one(Campaign, standing.new_version(line.campaign_id, user_id=line.user_id))
        preflight.run(draft.id)
        db.session.refresh(draft)
        assert preflight_result.current(draft) is not None
        for name, value in change.items():
            setattr(draft, name, value)
        db.session.flush()
        assert preflight_result.current(draft) is None
        db.session.rollback()


def test_words_without_room_for_anybody_are_refused(opened: Opened) -> None:
    with pytest.raises(AssertionError):
        opened(sms_text="【みどり信販】{氏名}様 " + "長" * 50 + "{リンク}")


def test_the_check_tells_how_long_the_fields_may_be(line: Line) -> None:
    with tenancy.tenant(line.tenant_id):
        checked = preflight_result.last(db.session.get_one(Campaign, line.campaign_id))
    assert checked is not None
    (told,) = [words for words in checked.warnings if "合わせて" in words]
    most = int(told.partition("合わせて")[2].partition("文字")[0])
    line.added(somebody(氏名="名" * most))
    assert line.refused(somebody(2, 氏名="名" * (most + 1))) == [("standing_sms_too_long", "氏名")]


def test_after_its_end_no_version_begins(line: Line) -> None:
    draft_id = rewritten(line)
    with tenancy.tenant(line.tenant_id):
        standing.end(line.campaign_id, user_id=line.user_id)
        digest = preflight.run(draft_id).digest
        with pytest.raises(Refused) as refused:
            lifecycle.launch(draft_id, user_id=line.user_id, digest=digest)
        assert [problem.code for problem in refused.value.problems] == ["standing_line_ended"]
        with pytest.raises(Refused):
            standing.new_version(line.campaign_id, user_id=line.user_id)


def test_fixed_times_are_refused(line: Line) -> None:
    with tenancy.tenant(line.tenant_id):
        draft = db.session.get_one(Campaign, standing.new_version(line.campaign_id, user_id=line.user_id))
        line.change("UPDATE campaign SET deadline_at = now() + interval '1 day' WHERE id = %s", draft.id)
        db.session.refresh(draft)
        assert "standing_with_times" in [problem.code for problem in standing_line.problems(draft)]


def test_a_list_is_a_campaign_of_its_own_with_the_words_of_now(line: Line, sandbox: Sandbox) -> None:
    line.launch(rewritten(line))
    with tenancy.tenant(line.tenant_id):
        list_id = standing.list_draft(line.campaign_id, user_id=line.user_id)
        made = db.session.get_one(Campaign, list_id)
        assert (made.sms_text, made.line_id, made.standing) == (_OTHER, line.campaign_id, False)
        assert [item.label for item in made.questions] == ["生年月日", "契約番号下4桁"]
    factories.people(line.tenant_id, list_id, 3)
    line.launch(list_id)
    line.send()
    assert len(sent(sandbox)) == 3
    assert line.state(list_id) == "completed"


def test_a_standing_draft_takes_no_list(line: Line) -> None:
    with tenancy.tenant(line.tenant_id):
        draft_id = standing.new_version(line.campaign_id, user_id=line.user_id)
        with pytest.raises(Refused) as refused:
            single_entry.add(draft_id, somebody(), user_id=line.user_id)
        assert refused.value.problem.code == "standing_takes_no_list"
        db.session.rollback()
        assert db.session.scalar(select(Recipient.id).where(Recipient.campaign_id == draft_id)) is None
