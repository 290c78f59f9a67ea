"""復元の確認待ち of an account: what could not be asked since a restore, and a manager's word about it.

In: an account that `flask after-restore` could not ask. Out: its hold, and what its campaigns wait for it, ended with a
reason on record.
"""

from flask import abort, flash, redirect, request, url_for

from admin_views.accounts import restore_words
from admin_views.framework import fields
from admin_views.framework.access import staff
from admin_views.framework.secure_view import Page, SecureView, expose
from admin_views.staff.reauthentication import require_reauthentication
from app.problems import messages_ja
from app.setback import account_holds
from app.setback.account_holds import AccountHold

_ONE = "/<kind>/<int(max=9223372036854775807):account_id>"


class RestoredAccounts(SecureView):
    """Accounts that could not be asked."""

    def is_visible(self) -> bool:
        """Stay out of the menu: home and the campaigns lead here."""
        return False

    @expose(f"{_ONE}/", methods=["GET", "POST"])
    @require_reauthentication
    def account(self, kind: str, account_id: int) -> Page | tuple[str, int]:
        """Show what wasn't asked and what to compare; take a manager's word."""
        found = account_holds.account_of(kind, account_id)
        if found is None:
            if kind not in {account_holds.SMS, account_holds.PAYMENT}:
                abort(404)
            flash("このアカウントに、復元の確認待ちはありません。", "warning")
            return redirect(url_for("admin.index"), 303)
        reason, problems = fields.typed("reason", 20 * account_holds.MOST_REASON).replace("\0", "").strip(), list[str]()
        if request.method == "POST":
            problems = messages_ja(account_holds.reason_problems(reason))
            if not problems:
                freed = account_holds.lift(kind, account_id, actor=staff().actor, reason=reason)
                flash(
                    f"「{found.name}」の復元の確認を終えました。{freed or 0:,}件の配信が、送信待ちの方から進みます。",
                    "success",
                )
                return redirect(url_for("admin.index"), 303)
        page = self.render(
            "office/restored_account.html",
            wait=restore_words.wait(AccountHold(kind, account_id, found.restore_hold)),
            name=found.name,
            campaigns=account_holds.waiting(kind, account_id),
            typed=reason,
            problems=problems,
            most_reason=account_holds.MOST_REASON,
        )
        return (page, 422) if problems else page


# Flask-Admin wants to know; these addresses have no root.
RestoredAccounts._default_view = "account"  # noqa: SLF001 - Flask-Admin's own place
