"""Collect a campaign's needs of its lists: the questions to answer and the fields that its texts merge."""

from collections.abc import Sequence

from app.campaigns import template
from app.intake.columns.mapping import Question
from app.models import Campaign
from app.models import Question as QuestionRow
from app.values.answers import Kana, QuestionKind


def questions_of(campaign: Campaign) -> list[Question]:
    """Return a campaign's questions as intake needs them."""
    return [
        Question(
            row.label,
            QuestionKind(row.kind),
            row.column_name or None,
            Kana(row.kana),
            tuple(choices_of(row)),
            row.variants_alike,
        )
        for row in campaign.questions
    ]


def choices_of(question: QuestionRow) -> list[str]:
    """List a question's choices, a line each."""
    return [line.strip() for line in question.choices.splitlines() if line.strip()]


def merge_names(campaign: Campaign, header: Sequence[str]) -> list[str]:
    """List the fields that the campaign's texts merge, as the header writes them."""
    written = {template.key(name): name for name in header}
    texts = campaign.sms_text + campaign.page_title + campaign.page_text
    return [written.get(name, name) for name in template.fields_in(texts) if name not in template.BUILT_IN]
