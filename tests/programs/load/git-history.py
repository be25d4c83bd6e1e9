# SPDX-License-Identifier: GPL-2.0-or-later
"""git-history DIRECTORY COMMITS - a stream for git fast-import: the files below DIRECTORY,
changed in every commit as text is: lines moved, left out and added."""
import os
import random
import sys


def main():
    top, commits = sys.argv[1], int(sys.argv[2])
    rng, out = random.Random(1), sys.stdout.buffer
    files = {}
    for directory, below, names in os.walk(top):
        below.sort()
        for name in sorted(names):
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    files[os.path.relpath(path, top).encode()] = file.read().splitlines(True)
    paths = sorted(files)
    for commit in range(commits):
        changed = paths if not commit else rng.sample(paths, min(12, len(paths)))
        message = b"change %d" % commit
        out.write(b"commit refs/heads/main\ncommitter T <t@example.org> %d +0000\n"
                  b"data %d\n%s\n" % (1700000000 + commit * 60, len(message), message))
        for path in changed:
            lines = files[path]
            for _ in range(3 if commit else 0):
                at = rng.randrange(len(lines) + 1)
                lines[at:at + rng.randrange(3)] = [b"/* line %d */\n" % rng.getrandbits(32)]
            content = b"".join(lines)
            out.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(content), content))


main()
