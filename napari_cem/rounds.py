"""The time of a round of training."""

from __future__ import annotations

import time

FIRST_LOOK, PACE = 1.0, 2.0  # seconds of training before a look; and times as long as a look


class Round:
    """A round of training: how long it lasts, and when to look at what it has learned."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.begun: float | None = None
        self.steps = 0
        self.pace = FIRST_LOOK
        self.looked: float | None = None
        self._since = time.monotonic()

    def begin(self) -> None:
        """The first step comes now."""
        self.begun = self._since = time.monotonic()

    def extend(self) -> None:
        """The time begins anew: strokes came."""
        self._since = time.monotonic()

    def look_took(self, now: float) -> None:
        """A tile was predicted: the more time looking takes, the rarer it is."""
        if self.looked is not None:
            self.pace = max(FIRST_LOOK, PACE * (now - self.looked))

    @property
    def spent(self) -> float:
        """Seconds since the first step."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun

    @property
    def left(self) -> float | None:
        """Seconds that remain, None if there is no end."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - (time.monotonic() - self._since))

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.left == 0.0
