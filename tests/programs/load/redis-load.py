# SPDX-License-Identifier: GPL-2.0-or-later
"""redis-load PORT SEED COMMANDS [CHECK] - commands of all kinds, the same ones each time.

Remembers what redis has to hold and compares every answer, and with CHECK in the end
every value; with the same seed as before it goes on from what that one left.
"""
import pickle
import random
import socket
import sys


class Redis:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def pipeline(self, commands):
        self.socket.sendall(b"".join(
            b"*%d\r\n" % len(c) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in c)
            for c in commands))
        return [self.answer() for _ in commands]

    def answer(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        sys.exit(f"redis says {line}")


class Model:
    """What redis holds, by key; each step returns a command and its answer."""

    def __init__(self):
        self.strings, self.lists, self.hashes = {}, {}, {}

    def step(self, rng):
        what, n = rng.random(), rng.randrange(4000)
        value = b"%d " % rng.getrandbits(64) * rng.randrange(1, 120)
        if what < 0.5:
            key = b"s%d" % n
            self.strings[key] = value
            return (b"SET", key, value), b"OK"
        if what < 0.6:
            key = b"s%d" % n
            self.strings[key] = self.strings.get(key, b"")[-2000:] + value
            return (b"SET", key, self.strings[key]), b"OK"
        if what < 0.7:
            return (b"GET", b"s%d" % n), self.strings.get(b"s%d" % n)
        if what < 0.8:
            key, items = b"l%d" % (n % 100), self.lists.setdefault(b"l%d" % (n % 100), [])
            items.append(value)
            return (b"RPUSH", key, value), len(items)
        if what < 0.85:
            items = self.lists.get(b"l%d" % (n % 100))
            return (b"LPOP", b"l%d" % (n % 100)), items.pop(0) if items else None
        if what < 0.95:
            fields, field = self.hashes.setdefault(b"h%d" % (n % 50), {}), b"f%d" % (n % 300)
            new = field not in fields
            fields[field] = value
            return (b"HSET", b"h%d" % (n % 50), field, value), int(new)
        return (b"DEL", b"s%d" % n), int(self.strings.pop(b"s%d" % n, None) is not None)


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: redis says {str(got)[:200]}, wanted {str(wanted)[:200]}")


def check(redis, model):
    for key, value in model.strings.items():
        expect(key, redis.pipeline([(b"GET", key)])[0], value)
    for key, items in model.lists.items():
        expect(key, redis.pipeline([(b"LRANGE", key, b"0", b"-1")])[0], items)
    for key, fields in model.hashes.items():
        got = redis.pipeline([(b"HGETALL", key)])[0]
        expect(key, dict(zip(got[::2], got[1::2])), fields)
    print(f"{len(model.strings)} strings, {len(model.lists)} lists, {len(model.hashes)} hashes")


def main():
    port, seed, commands = map(int, sys.argv[1:4])
    redis, model, rng = Redis(port), Model(), random.Random(seed)
    try:
        with open(f"model.{port}", "rb") as file:
            model = pickle.load(file)
    except FileNotFoundError:
        pass
    for _ in range(0, commands, 50):
        steps = [model.step(rng) for _ in range(50)]
        for (command, wanted), got in zip(steps, redis.pipeline([s[0] for s in steps])):
            expect(command[:2], got, wanted)
    if "check" in sys.argv:
        check(redis, model)
    with open(f"model.{port}", "wb") as file:
        pickle.dump(model, file)


main()
