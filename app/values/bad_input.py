"""The one shape of a refusal: everything a person types or uploads and we can't take is told the same way."""


class BadInput(Exception):  # noqa: N818 - says what was found
    """Something typed or uploaded that can't be taken.

    `code` is a stable word for tests and logs, `message_ja` a sentence for the screen that says what to do. Neither
    holds the value itself: refusals are logged, phone numbers and answers are not.
    """

    def __init__(self, code: str, message_ja: str) -> None:
        super().__init__(code)
        self.code = code
        self.message_ja = message_ja
