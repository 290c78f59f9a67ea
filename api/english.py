"""The sentences of problems in English, by code: their Japanese stands where each is declared.

In: a problem. Out: its sentence; one that has none here is told in Japanese all the same. Can't happen here: a fact
that the problem doesn't have (a test compares them).
"""

from collections.abc import Mapping

from app.problems import Problem
from app.web import bare_problems

_ASK_AGAIN = "Check the campaign again."

SENTENCES: Mapping[str, str] = {
    **bare_problems.ENGLISH,
    # the door
    "api_body_not_json": "The body can't be read as JSON. Send JSON in UTF-8.",
    "api_body_invalid": "The body lacks a field or has one of another form. Mend the places named in errors.",
    "api_field_invalid": "This field is missing or of another form. See its type in the reference.",
    "api_forbidden": (
        "This key doesn't work from this address. Ask your manager to check the key, the list of addresses and the"
        " contract."
    ),
    "api_scope_missing": "This key lacks the scope for this operation ({scope}).",
    "api_rate_limited": "Too many requests. Wait {seconds} seconds and send it again.",
    "api_state_conflict": "As the campaign stands now, this is not needed or can't be done.",
    "idempotency_key_missing": (
        "The Idempotency-Key field is missing. Give each operation a value of its own (a UUID), and each of its"
        " retries the same."
    ),
    "idempotency_key_unreadable": "The Idempotency-Key is not right: up to {most} ASCII characters without spaces.",
    "idempotency_key_reused": "This Idempotency-Key was used for another operation. Give a new operation a new value.",
    "idempotency_key_under_way": (
        "An operation with this Idempotency-Key is under way. Wait {seconds} seconds and send the same again."
    ),
    "held_after_restore": (
        "Sending is held since a restore; nothing was done. Send it again once the operator has finished checking."
    ),
    "contract_not_active": "The contract is not active, so nothing can be sent. Ask the operator.",
    # a campaign's life
    "already_asked_for_approval": "Approval was asked for already. Nothing is sent until a manager approves.",
    "already_cancelled": "The campaign was cancelled. Nothing is sent.",
    "already_completed": "The campaign was sent already. Nothing is sent twice.",
    "already_launched": "The campaign was launched already. Nothing is sent twice.",
    "already_scheduled": "The campaign is scheduled already. Nothing is sent twice.",
    "bulk_operation_running": "An earlier operation is still being prepared. Send it again once that is over.",
    "check_content_changed": f"Texts or list changed while they were checked. {_ASK_AGAIN}",
    "check_missing": "The campaign was not checked yet.",
    "check_not_draft": "The campaign is no draft, so the result was not kept.",
    "check_outdated": f"What was checked has changed. {_ASK_AGAIN}",
    "check_void": f"Texts or list changed after the check. {_ASK_AGAIN}",
    "deadline_over": "The deadline has passed.",
    "link_ended": "The links' end has passed.",
    "locked_cancelled": "The texts and the list of a cancelled campaign can't be changed. Make a copy.",
    "locked_launched": "The texts and the list of a launched campaign can't be changed. Make a copy.",
    "locked_scheduled": "Texts and list can't be changed while the campaign is scheduled.",
    "locked_waiting_for_approval": "Texts and list can't be changed while approval is waited for.",
    "send_window_empty": "There are no hours at which this could be sent.",
    # gaps that stop a launch
    "list_empty": "There are no recipients.",
    "list_missing": "There are no recipients yet.",
    "list_import_running": "A list is being imported. Wait until that is over.",
    "sms_account_not_chosen": "No SMS account is chosen.",
    "sms_account_not_registered": "No SMS account is registered yet. A manager registers it on the settings' pages.",
    "sms_account_stopped": "The chosen SMS account is stopped. Choose another.",
    "sms_account_without_credentials": "The chosen SMS account has no credentials. Ask a manager.",
    "sms_account_address_gone": "The chosen SMS account's address is no longer among the operator's.",
    "payment_account_not_chosen": "No payment account is chosen.",
    "payment_account_not_registered": "No payment account is registered yet. A manager registers it.",
    "payment_account_stopped": "The chosen payment account is stopped. Choose another.",
    "payment_account_without_credentials": "The chosen payment account has no credentials. Ask a manager.",
    "payment_account_address_gone": "The chosen payment account's address is no longer among the operator's.",
    "amount_missing_in_list": "{people:,} recipients have no amount.",
    "amount_not_payable": "The amounts of {people:,} recipients can't be paid there ({least:,} to {most:,} yen).",
    "merge_field_missing": "{people:,} recipients lack a merge field of the texts.",
    "sms_too_long": "The SMS of {people:,} recipients is longer than {limit} characters (the longest: {longest}).",
    "sms_too_long_but_shortened": (
        "The SMS of {people:,} recipients is longer than {limit} characters (the longest: {longest})."
        " A short form of long names is offered on the check's page."
    ),
    "text_empty": "A text is empty.",
    "text_braces_unpaired": "The braces of a merge field don't match.",
    "text_link_missing": "The SMS lacks its link.",
    "text_link_touched": "A letter or a merge field follows the link at once: put a space after it.",
    "text_link_twice": "The SMS has its link more than once.",
    "text_short_form_malformed": "A short form of a merge field is not written right.",
    "launch_people_differ": "The campaign has {people:,} recipients. Look again, then launch with that number.",
    # a draft, and its recipients
    "campaign_source_missing": "Name either starter or copy_of.",
    "campaign_starter_unknown": "There is no such starter.",
    "campaign_name_missing": "The campaign needs a name.",
    "campaign_name_too_long": "The name is too long: up to {most} characters.",
    "campaign_name_card_number": "The name seems to hold a payment card's number.",
    "campaign_start_not_ahead": "The start must lie ahead, within 366 days.",
    "campaign_deadline_not_ahead": "The deadline must lie ahead of now and of the start, within 366 days.",
    "batch_rows_refused": "{rows:,} rows have faults, so none was added. Mend those in errors and send all again.",
    "batch_field_unknown": "The row has a field that the campaign doesn't know. See the campaign's fields.",
    "batch_cell_too_long": "The value is too long: up to {most:,} characters.",
    "batch_empty": "There are no rows.",
    "batch_too_many_rows": "Up to {most:,} rows can be sent at once.",
    "test_key_other_numbers": (
        "A test key sends only to confirmed test numbers; {people:,} recipients have other ones."
    ),
    # again, and reminders
    "reminder_kind_unknown": "A reminder is for unopened or, where there is something to pay, unpaid.",
    "reminder_already_sent": "Somebody else sent a reminder, or this was sent twice. Look how the campaign stands.",
    "reminder_field_missing": "A merge field of the reminder is not in the list.",
    "reminder_needs_manager": "A reminder to more than {above:,} people is sent by a manager.",
    "reminder_too_long": "With the longest values it has {length} characters; an SMS has up to {limit}.",
    "resend_checks_stopped": "Answers are not taken at the moment. Look into why, then take them again.",
    "resend_nobody": "There is nobody to send to.",
    "resend_not_launched": "The campaign was not launched, or was cancelled.",
    "resend_paused": "The campaign is paused. Resume it first.",
    # a recipient's fields
    "amount_bad_commas": "The commas of the amount are misplaced.",
    "amount_empty": "The amount is empty. Give whole yen (e.g. 5000).",
    "amount_fraction": "The amount has a fraction. Give whole yen.",
    "amount_negative": "The amount is negative.",
    "amount_not_a_number": "The amount is no number. Give whole yen (e.g. 5000).",
    "amount_too_large": "The amount is too large: up to {most:,} yen.",
    "amount_too_much_typed": "The amount is too long: a number up to {most:,} yen.",
    "amount_unclear_dot": "It is not clear what the dot in the amount means. Give whole yen without one.",
    "amount_zero": "The amount is 0.",
    "answer_empty": "The answer is empty.",
    "answer_last4_too_long": "The answer is not four digits, leading zeros included (e.g. 0489).",
    "answer_last4_too_short": "The answer is not four digits, leading zeros included (e.g. 0489).",
    "answer_last_digits_taken": "The number is longer than four digits: its last four are the answer.",
    "answer_not_a_choice": "The answer is none of the choices.",
    "answer_not_digits": "The answer holds more than digits.",
    "answer_odd_length": "The other rows have {usual} digits, this one {digits}: has a leading zero gone?",
    "answer_postcode_too_long": "The post code doesn't have seven digits (e.g. 123-4567).",
    "answer_postcode_too_short": "The post code doesn't have seven digits (e.g. 123-4567).",
    "answer_too_long": "The answer is too long: up to {most} characters.",
    "answer_with_variants": "The answer holds variants of letters: a person who types the usual ones won't match.",
    "answer_without_digits": "The answer is empty. Give digits.",
    "birth_date_in_future": "The date of birth is in the future.",
    "card_number": "There seems to be a payment card's number: none is taken.",
    "card_or_own_number": "There seems to be a payment card's number: none is taken.",
    "cell_carrier_characters": "Some carriers' phones can't show a character of this value.",
    "cell_excel_error": "This is an error value of a spreadsheet.",
    "cell_like_formula": "This looks like a formula. It is taken as text.",
    "cell_line_break": "The value has a line break, which is kept.",
    "cell_lost_letters": "Letters seem to have been lost before (?, 〓).",
    "cell_merged_empty": "A field that the texts merge is empty.",
    "cell_unwritable": "There are control characters or broken letters.",
    "contradicts": "A recipient with this number was taken already, with another content.",
    "date_ambiguous_year": "The year is not clear. Give four digits or an era.",
    "date_ahead_ambiguous_year": "The year is not clear. Give four digits or an era (e.g. 2027-03-31).",
    "date_ahead_unreadable": "This can't be read as a date. Write 2027-03-31 or 令和9年3月31日.",
    "date_digits_only": "This can't be read as a date. Of digits alone give eight (e.g. 19560904).",
    "date_empty": "The date is empty.",
    "date_incomplete": "Year, month and day are all needed.",
    "date_no_such_day": "There is no such day.",
    "date_not_in_era": "There is no such day in this era.",
    "date_unreadable": "This can't be read as a date. Write 1956-09-04 or 昭和31年9月4日.",
    "date_year_out_of_range": "The year is not right.",
    "empty_row": "The row is empty: it is not taken.",
    "entry_cell_too_long": "The value is too long: up to {most:,} characters.",
    "entry_questions_changed": "The questions have changed. Read the campaign and send it again.",
    "excluded": "This recipient was left out or replaced before, and is not added.",
    "phone_empty": "The phone number is empty.",
    "phone_foreign": "This is a foreign number. Give a Japanese mobile number.",
    "phone_ip": "050 numbers get no SMS. Give a mobile number.",
    "phone_landline": "Landlines get no SMS. Give a mobile number.",
    "phone_not_a_number": "The phone number holds more than digits.",
    "phone_not_mobile": "This is no mobile number: eleven digits beginning with 070, 080, 090 or 060.",
    "phone_pager": "020 numbers get no SMS. Give a mobile number.",
    "phone_premium_rate": "Premium rate numbers get no SMS. Give a mobile number.",
    "phone_scientific": "The number was written in scientific notation: its last digits are lost.",
    "phone_shared_cost": "0570 numbers get no SMS. Give a mobile number.",
    "phone_toll_free": "Toll free numbers get no SMS. Give a mobile number.",
    "phone_too_long": "The phone number has too many digits.",
    "phone_too_much_typed": "The phone number is too long.",
    "phone_too_short": "The phone number has too few digits.",
    "phone_twice": "Row {earlier_row} has the same phone number: that person will get two SMS.",
    "phone_zero_added": "The leading zero was missing and was added.",
    "recipient_empty": "Give the recipient's fields.",
    "recipient_known": "The same recipient stands in this campaign already.",
    "reference_empty": "The number is empty. Give each row a number of its own.",
    "reference_taken": "A recipient with this number stands in this campaign already.",
    "reference_too_long": "The number is too long: up to {most} characters.",
    "reference_twice": "Row {earlier_row} has the same number.",
    "row_suppressed": "This number is on the list of those not sent to: it is taken, and gets no SMS.",
    "single_entry_impossible": "Recipients of this campaign can't be given one by one. Import its list as a file.",
    # money recorded by hand
    "settle_amount_differs": "Only money of the very amount ({amount_yen:,} yen) can be recorded.",
    "settle_method_missing": "Say how the money came.",
    "settle_reason_personal": "The reason stays on record: write no phone or card number in it.",
    "link_ended_before": "This recipient's link was ended before.",
    "settle_not_unpaid": "As the payment stands now, it can't be recorded as paid.",
    "settle_payment_under_way": "A payment is under way: recording this could have the person pay twice.",
    "settle_reason_missing": "Give a reason.",
    "unsettle_not_settled": "Only what was recorded by hand can be taken back.",
}


def sentence(problem: Problem) -> str:
    """Return a problem's sentence in English, in Japanese where there is none."""
    words = SENTENCES.get(problem.code)
    try:
        return problem.message_ja if words is None else words.format(**problem.facts)
    except (KeyError, ValueError):  # it was stored before it had these facts
        return problem.message_ja
