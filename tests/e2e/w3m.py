"""w3m at a terminal: what a person sees without script and without style sheets, and the keys they press."""

import os
import shlex
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_LIMIT_S = 60
# higher than any of our pages, so that all of a page is on the screen
_COLUMNS, _LINES = 90, 120


class W3m:
    """A w3m in a tmux of its own. Use it as a context; `folder` is its home and is left to the caller."""

    def __init__(self, url: str, folder: Path) -> None:
        self._socket = str(folder / "tmux.socket")
        self._environ = {**os.environ, "HOME": str(folder), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        self._environ.pop("TMUX", None)
        # the page that leads on by a header has a link as well: w3m is told to follow neither by itself
        self._command = shlex.join(["w3m", "-cookie", "-o", "meta_refresh=0", "-o", "confirm_qq=0", url])

    def __enter__(self) -> Self:
        size = ["-x", str(_COLUMNS), "-y", str(_LINES)]
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, self._command)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tmux("kill-server")

    @property
    def screen(self) -> str:
        """The text to be read; w3m's last line tells the page's title and is part of it."""
        lines = self._tmux("capture-pane", "-p", "-J").splitlines()
        return "\n".join(line.rstrip() for line in lines).rstrip()

    def wait(self, *words: str) -> str:
        """Wait until all words can be read; return the screen."""
        deadline = time.monotonic() + _LIMIT_S
        while not all(word in (screen := self.screen) for word in words):
            assert time.monotonic() < deadline, f"{words} not on the screen:\n{screen}"
            time.sleep(0.1)
        return screen

    def key(self, *keys: str) -> None:
        """Press keys by their names in tmux."""
        self._tmux("send-keys", *keys)
        time.sleep(0.15)

    def find(self, words: str) -> None:
        """Put the cursor on the first of these words."""
        self.key("g")
        self.key("/")
        self._tmux("send-keys", "-l", words)
        self.key("Enter")

    def press(self, words: str) -> None:
        """Press the button or the link of these words."""
        self.find(words)
        self.key("Enter")

    def fill(self, before: str, *values: str, skip: int = 0) -> None:
        """Type into the fields that follow these words, but for the first `skip` things one can stop at."""
        self.find(before)
        for _ in range(skip):
            self.key("Tab")
        for value in values:
            self.key("Tab")
            self.key("Enter")
            self.key("C-u")
            self._tmux("send-keys", "-l", value)
            self.key("Enter")

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *arguments],  # noqa: S607 - Debian's
            env=self._environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout
