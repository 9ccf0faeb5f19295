"""How many tasks wait in the queue: as few as keep every worker busy until the scheduler looks again.

What is in the queue is hard to overtake, so a long queue makes a newcomer wait. Pure: numbers in, a number out.
"""

from __future__ import annotations

AHEAD_S = 0.75  # how much work waits: three of the scheduler's rounds, so that a late one starves nobody
GROWTH = 4.0  # a queue that was found empty does not say how fast the workers are
SHRINKING = 0.8  # gently: a pause of the workers is not their pace


class Window:
    """Follows the pace of the workers.

    Args:
        least: Never fewer wait, when there are as many: what a few workers take between two rounds.
        most: Never more (``BEVARA_WINDOW``).
    """

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = min(least, most), most
        self.size = self._least

    def seen(self, waiting: int, taken: int, seconds: float) -> None:
        """*waiting* tasks were found in the queue, *taken* had left it since the last look, *seconds* ago."""
        wanted = taken / max(seconds, 0.001) * AHEAD_S
        if not waiting and taken >= self.size:
            wanted = self.size * GROWTH
        self.size = round(min(max(wanted, self.size * SHRINKING, self._least), self._most))
