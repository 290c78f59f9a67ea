from flask_babel import Domain

class CustomDomain(Domain):
    def __init__(self) -> None: ...

domain: CustomDomain
wtforms_domain: Domain

# what a form's Meta translates by; the words of `wtforms_domain`
class Translations:
    def gettext(self, string: str) -> str: ...
    def ngettext(self, singular: str, plural: str, n: int) -> str: ...
