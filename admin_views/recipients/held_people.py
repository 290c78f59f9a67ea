"""判断待ち: a campaign's held people, reason by reason, and a manager's word about many of them at once.

In: whom a manager ticks, or all of a reason. Out: a question that says how many, why, what leaves and when; then one
call of the domain. Can't happen here: a word about people whom the question didn't count (it holds its time).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import abort, flash, redirect, request, url_for
from sqlalchemy import func, select

from admin_views.campaigns.frame import ONE, FlowView, Page, one_campaign, ours
from admin_views.campaigns.status import Confirmation
from admin_views.framework import fields
from admin_views.framework.access import staff
from admin_views.framework.scoping import as_id, rows
from admin_views.framework.secure_view import expose
from admin_views.recipients import held_words
from admin_views.recipients.held_words import Trace
from admin_views.staff.reauthentication import require_reauthentication
from app.auth.staff import Role
from app.campaigns import rendering as campaign_people
from app.campaigns import schedule
from app.delivery import number_limits
from app.delivery.held_selection import Chosen
from app.extensions import db
from app.models import Campaign, Recipient
from app.outcomes import manual_decisions, manual_review
from app.outcomes.manual_decisions import MOST, OF_NUMBERS, OF_UNKNOWN, SENDING, Verdict
from app.setback import missed_numbers
from app.states.vocabulary import CampaignState
from app.values.japan_time import japan_minutes
from app.values.phones import mask

SHOWN = 50  # people of a reason on a page
_LONGEST_TIME = 40


@dataclass(frozen=True, slots=True)
class Row:
    """A held person in a list."""

    id: int
    name: str
    phone: str
    traces: list[Trace]


@dataclass(frozen=True, slots=True)
class Group:
    """The people held for one reason: `count` of them, `people` of those on this page, `rest` leads to the next."""

    reason: str
    count: int
    people: list[Row]
    rest: str
    verdicts: tuple[Verdict, ...]
    verdicts_of_all: tuple[Verdict, ...]


class HeldPeople(FlowView):
    """Held people of a campaign."""

    @expose(f"{ONE}/held/")
    def listed(self, campaign_id: int) -> Page:
        """Show who is held and why, and what one can do."""
        campaign = one_campaign(campaign_id)
        asked, after = request.args.get("reason", ""), as_id(request.args.get("after", "0")) or 0
        counts = {**manual_review.by_reason(campaign), **number_limits.by_reason(campaign)}
        groups = [
            _group(campaign, reason, count, after if reason == asked else 0)
            for reason, count in counts.items()
            if asked in {"", reason}
        ]
        return self.page(
            "flow/held.html",
            campaign,
            "status",
            groups=groups,
            held_words=held_words,
            sends=campaign.state != CampaignState.CANCELLED,
            service=held_words.service(campaign),
            seen_at=datetime.now(UTC).isoformat(),
            may_decide=staff().role == Role.MANAGER,
        )

    @expose(f"{ONE}/held/ask", methods=["POST"])
    def ask(self, campaign_id: int) -> Page:
        """Ask before many are decided: how many, why, what leaves and when."""
        campaign = one_campaign(campaign_id)
        verdict, chosen = _asked()
        count = _count(campaign, verdict, chosen)
        if not count:
            flash(
                "人が選ばれていません。左端のチェックを付けてから、もう一度ボタンを押してください。"
                if chosen.ids == []
                else held_words.MEANWHILE.format(len(chosen.ids or [1])),
                "warning",
            )
            return redirect(url_for("held.listed", campaign_id=campaign_id), 303)
        return self.confirm(campaign, "status", _question(campaign, verdict, chosen, count))

    @expose(f"{ONE}/held/decide", methods=["POST"])
    @require_reauthentication
    def decide(self, campaign_id: int) -> Page:
        """Decide about those whom the question counted; say about how many somebody else was faster."""
        ours(campaign_id)
        verdict, chosen = _asked()
        counted = as_id(fields.typed("people")) or 0
        done = manual_decisions.decide(campaign_id, verdict, chosen, user_id=staff().id)
        if done.people:
            flash(held_words.DONE[verdict].format(done.people), "success")
        if (faster := counted - done.people - done.left) > 0:
            flash(held_words.MEANWHILE.format(faster), "warning")
        if done.left:
            flash(f"一度に決められるのは{MOST:,}件までです。残りも、同じように続けて決めてください。", "warning")
        return redirect(url_for("held.listed", campaign_id=campaign_id), 303)


def _group(campaign: Campaign, reason: str, count: int, after: int) -> Group:
    of_numbers = reason in number_limits.HELD
    if of_numbers:
        chosen = Chosen(datetime.now(UTC), reason=reason)
        traces: dict[int, list[Trace]] = {
            one: [] for one in number_limits.seen(campaign, chosen, after_id=after, limit=SHOWN)
        }
    else:
        cases = manual_review.cases(campaign, reason, after_id=after, limit=SHOWN)
        traces = {case.recipient_id: held_words.traces(case.attempts) for case in cases}
    people = rows(Recipient).filter(Recipient.id.in_(traces)).order_by(Recipient.id)
    shown = [Row(one.id, str(one), _masked(one), traces[one.id]) for one in people]
    more = len(shown) == SHOWN and count > SHOWN
    rest = url_for("held.listed", campaign_id=campaign.id, reason=reason, after=shown[-1].id) if more else ""
    verdicts: tuple[Verdict, ...] = OF_NUMBERS if of_numbers else OF_UNKNOWN
    if campaign.state == CampaignState.CANCELLED:
        verdicts = tuple(verdict for verdict in verdicts if verdict not in SENDING)
    # people whose number had enough are looked at one by one before anything more leaves to it
    of_all = tuple(verdict for verdict in verdicts if verdict is not Verdict.SEND)
    return Group(reason, count, shown, rest, verdicts, of_all)


def _masked(person: Recipient) -> str:
    return mask(campaign_people.open_phone(person.tenant_id, person.id, person.phone_sealed))


def _asked() -> tuple[Verdict, Chosen]:
    """Read what a manager decides and about whom; 403, 404 for all else."""
    if staff().role != Role.MANAGER:
        abort(403)
    word = fields.typed("verdict")
    everybody, verdict = word.startswith("all:"), word.removeprefix("all:")
    reason, at = fields.typed("reason"), seen_at()
    if verdict not in set(Verdict) or at is None or (everybody and verdict == Verdict.SEND):
        abort(404)
    if reason not in (number_limits.HELD if verdict in OF_NUMBERS else manual_review.REASONS):
        abort(404)
    ids = None if everybody else sorted({one for one in map(as_id, request.form.getlist("id")) if one is not None})
    return Verdict(verdict), Chosen(at, reason=reason, ids=ids)


def seen_at() -> datetime | None:
    """Read when the page was made on which somebody decides; None for no such time."""
    written = request.form.get("seen_at", "")[:_LONGEST_TIME]
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _count(campaign: Campaign, verdict: Verdict, chosen: Chosen) -> int:
    if chosen.ids is not None:
        seen = manual_review.seen if verdict in OF_UNKNOWN else number_limits.seen
        return len(seen(campaign, chosen, after_id=0, limit=MOST))
    by_reason = manual_review.by_reason if verdict in OF_UNKNOWN else number_limits.by_reason
    return by_reason(campaign, at=chosen.at).get(chosen.reason or "", 0)


def _question(campaign: Campaign, verdict: Verdict, chosen: Chosen, count: int) -> Confirmation:
    reason = chosen.reason or ""
    words = [f"保留の理由：{held_words.TITLES[reason]}。{held_words.happened(reason)}"]
    words.append(f"{held_words.BUTTONS[verdict]}：{held_words.EFFECTS[verdict]}")
    if verdict is Verdict.SEND:
        words.append(_of_numbers(chosen))
    words.append(leaving(campaign, min(count, MOST)) if verdict in SENDING else "この操作で送られるSMSはありません。")
    if chosen.ids is not None and (gone := len(chosen.ids) - count):
        words.append(held_words.MEANWHILE.format(gone))
    if count > MOST:
        words.append(f"一度に決められるのは{MOST:,}件までです。残りは、続けてもう一度決めてください。")
    words.append(
        "押すまでの間にほかの管理者が決めた方や、結果が分かった方には、何もしません。その件数は次の画面に出ます。"
    )
    words.append("決めたことは、1件ずつ証跡に記録されます。")
    hidden = [("verdict", verdict if chosen.ids is not None else f"all:{verdict}"), ("reason", reason)]
    hidden += [("seen_at", chosen.at.isoformat()), ("people", str(min(count, MOST) if chosen.ids is None else count))]
    hidden += [("id", str(one)) for one in chosen.ids or ()]
    return Confirmation(
        title=held_words.QUESTIONS[verdict].format(count),
        words=tuple(words),
        button=f"{min(count, MOST):,}件を「{held_words.BUTTONS[verdict]}」で決める",
        url=url_for("held.decide", campaign_id=campaign.id),
        back=url_for("held.listed", campaign_id=campaign.id),
        dangerous=verdict in SENDING,
        fields=tuple((name, str(value)) for name, value in hidden),
    )


def _of_numbers(chosen: Chosen) -> str:
    """Return in words how many SMS one number gets."""
    of_each = (
        rows(Recipient).filter(Recipient.id.in_(chosen.ids or ())).with_entities(func.count().label("people"))
    ).group_by(Recipient.phone_index)
    each = of_each.subquery()
    different, most = db.session.execute(select(func.count(), func.coalesce(func.max(each.c.people), 0))).one()
    return (
        f"電話番号は{different:,}種類です。1つの番号に、これまでに送ったSMSのほかに、多いところで{most:,}通が届きます。"
    )


def leaving(campaign: Campaign, people: int) -> str:
    """Return in words how many SMS leave, and when."""
    now = datetime.now(UTC)
    words = f"{people:,}通のSMSを送ります。"
    if campaign.restore_hold or missed_numbers.count(campaign):
        return f"{words}ただし「復元の確認待ち」のため、管理者が送信を許可するまで送られません。"
    if campaign.state == CampaignState.PAUSED:
        return f"{words}配信を一時停止しているため、再開するまで送られません。"
    planned = schedule.plan(campaign, people, now)
    if planned.begins_at is None or (campaign.link_until is not None and campaign.link_until <= planned.begins_at):
        return (
            "送信できる時間帯かリンクの有効期限がすでに終わっているため、SMSは送られず、「期限切れ」になる見込みです。"
        )
    finish = f"、{japan_minutes(planned.finishes_at)}ごろまでに送り終える見込みです" if planned.finishes_at else ""
    if planned.begins_at > now:
        return f"{words}いまは送信時間帯の外です。{japan_minutes(planned.begins_at)}に始まり{finish or 'ます'}。"
    night = f"いまは{schedule.NIGHT}です。" if schedule.leaves_at_night(campaign, now) else ""
    return f"{words}{night}ボタンを押すとすぐに始まり{finish or 'ます'}。"


# Flask-Admin wants to know; these addresses have no root.
HeldPeople._default_view = "listed"  # noqa: SLF001 - Flask-Admin's own place
