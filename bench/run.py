#!/usr/bin/env python3
"""bench/run.py BUILD [micro|keys] OPTIONS: what ./dev bench calls. Without a word: side by side with other proxies."""

import sys

import keys
import micro
from peers import main as peers


def main():
    build, *rest = sys.argv[1:] or sys.exit(__doc__)
    if rest[:1] == ["micro"]:
        micro.main([build, *rest[1:]])
    elif rest[:1] == ["keys"]:
        keys.main([build, *rest[1:]])
    else:
        peers.main([build, *rest])


main()
