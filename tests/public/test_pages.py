"""A written text becomes paragraphs and lines of HTML, and nothing in it becomes more."""

import pytest

from public.pages import paragraphs


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", "<p></p>"),
        ("一行", "<p>一行</p>"),
        ("一\n二", "<p>一<br>二</p>"),
        ("一\r\n\r\n二\r\n三", "<p>一</p><p>二<br>三</p>"),
        ("\n\n一\n\n\n\n二\n", "<p>一</p><p>二</p>"),
        ("<b>一</b>\n& 二", "<p>&lt;b&gt;一&lt;/b&gt;<br>&amp; 二</p>"),
        ("  字下げ\n{氏名}", "<p>  字下げ<br>{氏名}</p>"),
    ],
)
def test_paragraphs(text: str, html: str) -> None:
    assert paragraphs(text) == html
