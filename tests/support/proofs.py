"""What a stand-in for a 2400 must answer to be believed."""

from __future__ import annotations

import re

NUMBER = re.compile(rb"\*ESE (\d+)")


def proven(question: bytes, answer: bytes) -> bytes:
    """With the number told in the question before it, which shows whose answer it is."""
    told = NUMBER.search(question)
    return told[1] + b";" + answer if told else answer
