"""A person with a browser: opens addresses, fills in the form that is on the page, follows where it leads."""

from html.parser import HTMLParser

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class Browser:
    """One browser with its cookies. `page` is what it shows, `path` where it is."""

    page: TestResponse

    def __init__(self, client: FlaskClient, base_url: str = "http://localhost") -> None:
        self.client = client
        self.base_url = base_url
        self.path = ""

    @property
    def text(self) -> str:
        return self.page.get_data(as_text=True)

    @property
    def title(self) -> str:
        return self.text.partition("<title>")[2].partition("</title>")[0]

    def open(self, path: str) -> "Browser":
        """Follow a link: same-origin redirects too."""
        self.page, self.path = self.client.get(path, base_url=self.base_url), path
        return self._followed()

    def press(self, **values: str) -> "Browser":
        """Send the page's form with these values typed in."""
        form = Form(self.text)
        action = form.action or self.path
        self.page = self.client.post(action, data=form.fields | values, base_url=self.base_url)
        self.path = action
        return self._followed()

    def _followed(self) -> "Browser":
        while self.page.status_code in {302, 303, 308}:
            self.path = self.page.headers["Location"].removeprefix(self.base_url)
            self.page = self.client.get(self.path, base_url=self.base_url)
        return self


class Form(HTMLParser):
    """The first form of a page: where it goes, and what stands in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self._inside = self._seen = False
        self.feed(html)
        assert self._seen, "there is no form on the page"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and not self._seen:
            self._inside = self._seen = True
            self.action = given.get("action") or ""
        if tag == "input" and self._inside and given.get("name"):
            if given.get("type") == "radio" and "checked" not in given:
                return
            self.fields[given["name"] or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
