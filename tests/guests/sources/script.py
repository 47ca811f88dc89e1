"""A guest in Python that counts, looks at the clock, draws random numbers and prints.

Compiled into a component; `wit_world` is generated from guest.wit then.
"""

import random
import time

from wit_world import exports
from wit_world.exports.script import Sight

count = 0


class Script(exports.Script):
    """The exported interface."""

    def increment(self) -> int:
        """How often it was called."""
        global count
        count += 1
        return count

    def look(self) -> Sight:
        """That number, the time and a random number."""
        return Sight(count, time.time() * 1000, random.random())

    def say(self, text: str) -> None:
        """Print a line."""
        print(text)
