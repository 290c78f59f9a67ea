"""Name the next step after an import: how its campaign stands now, in one badge, and one step."""

from collections.abc import Sequence
from dataclasses import dataclass

from admin_views.campaigns import preview
from admin_views.campaigns.steps import next_action, page_url, steps_of
from app.campaigns import lifecycle, preflight_result
from app.models import Campaign, Import
from app.problems import messages_ja

_TO_CHECK = "確認へ進む"


@dataclass(frozen=True, slots=True)
class Next:
    """One step. `tone` and `badge` say how it stands; `problems` keep it from being sent; no `title`: nothing to do.

    `kind` is errors (rows to be corrected), twice (people of before have the same numbers, as the page tells in full),
    checking (a check is on its way) or step (a button leads on).
    """

    tone: str
    badge: str
    title: str = ""
    kind: str = "step"
    words: str = ""
    problems: tuple[str, ...] = ()
    button: str = ""
    url: str = ""


def after(campaign: Campaign, row: Import) -> Next:
    """Return what to do after a list was taken; nothing that can't be sent stands as done."""
    if lifecycle.content_locked(campaign):
        return Next("done", "完了")
    if row.rows_rejected:
        return Next("mapping", "エラーの行があります", "エラーの行を直してください", kind="errors")
    if row.same_number:
        url = page_url(campaign, "check")
        return Next("mapping", "同じ電話番号があります", kind="twice", button=_TO_CHECK, url=url)
    people = lifecycle.people_of(campaign)
    steps = steps_of(campaign, people)
    action = next_action(campaign, steps, people)
    if action.url not in {page_url(campaign, "check"), page_url(campaign, "send")}:
        lacks = next((step.missing for step in steps if step.url == action.url), ())
        return Next(
            "mapping",
            "準備中",
            "次にすること",
            words=action.words,
            problems=lacks,
            button=action.button,
            url=action.url,
        )
    return _checked(campaign, people)


def _checked(campaign: Campaign, people: int) -> Next:
    url = page_url(campaign, "check")
    checked = preflight_result.current(campaign)
    if preview.is_checking(campaign):
        words = f"{people:,}件すべてのSMSと専用ページを組み立てて、文字数や空欄を調べています。まだ何も送信されません。"
        return Next("running", "確認中", "全員分の文面を確かめています", kind="checking", words=words)
    if checked is None:
        words = "いまの文面と名簿では、まだ確認していません。全員分のSMSと専用ページを組み立てて調べます。"
        return Next(
            "mapping", "確認がまだです", "全員分の文面を確認してください", words=words, button=_TO_CHECK, url=url
        )
    if checked.problems:
        title = "直すことがあります（このままでは送れません）"
        problems = tuple(messages_ja(checked.problems))
        return Next("mapping", "直すことがあります", title, problems=problems, button=_TO_CHECK, url=url)
    words = f"{people:,}件すべてのSMSと専用ページを組み立てて調べました。{_look_at(checked.warnings)}"
    return Next("done", "完了", "送信できます", words=words, button=_TO_CHECK, url=url)


def _look_at(warnings: Sequence[str]) -> str:
    told = f"注意が{len(warnings):,}点あります。" if warnings else ""
    return f"{told}見え方を確かめてから、送信へ進んでください。"
