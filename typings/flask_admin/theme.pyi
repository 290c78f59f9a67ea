from dataclasses import dataclass
from functools import partial
from typing import Literal

@dataclass
class Theme:
    folder: str
    base_template: str

@dataclass
class BootstrapTheme(Theme):
    folder: Literal["bootstrap4"]
    base_template: str = "admin/base.html"
    swatch: str = "default"
    fluid: bool = False

Bootstrap4Theme: partial[BootstrapTheme]
