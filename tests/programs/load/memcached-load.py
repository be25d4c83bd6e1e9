# SPDX-License-Identifier: GPL-2.0-or-later
"""memcached-load PORT - sets, changes, deletes and reads again over several connections.

Each value is compared with what was put there; the sum of all is the result.
"""
import hashlib
import random
import socket
import sys

KEYS = 12000


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def send(self, commands):
        self.socket.sendall(b"".join(commands))

    def expect(self, wanted):
        line = self.file.readline()
        if line != wanted:
            sys.exit(f"memcached says {line}, wanted {wanted}")

    def values(self):
        while (line := self.file.readline()) != b"END\r\n":
            word, key, flags, size = line.split()
            if word != b"VALUE":
                sys.exit(f"memcached says {line}")
            yield key, int(flags), self.file.read(int(size) + 2)[:-2]


def value_of(number, version):
    rng = random.Random(number * 1000 + version)
    return rng.randbytes(rng.randrange(1, 200)) * rng.randrange(1, 25)


def main():
    connections = [Connection(int(sys.argv[1])) for _ in range(4)]
    versions, rng = {}, random.Random(1)
    for turn in range(3):
        for start in range(0, KEYS, 100):
            numbers = [rng.randrange(KEYS) for _ in range(100)] if turn else \
                range(start, start + 100)
            connection, commands, answers = connections[start // 100 % 4], [], []
            for n in numbers:
                if turn == 2 and n % 5 == 0:
                    commands.append(b"delete k%d\r\n" % n)
                    answers.append(b"DELETED\r\n" if n in versions else b"NOT_FOUND\r\n")
                    versions.pop(n, None)
                    continue
                versions[n] = turn
                value = value_of(n, turn)
                commands.append(b"set k%d %d 0 %d\r\n%s\r\n" % (n, turn, len(value), value))
                answers.append(b"STORED\r\n")
            connection.send(commands)
            for answer in answers:
                connection.expect(answer)
        sums = hashlib.sha256()
        for start in range(0, KEYS, 50):
            connection, found = connections[start // 50 % 4], {}
            connection.send([b"get " + b" ".join(b"k%d" % n for n in range(start, start + 50)) +
                             b"\r\n"])
            for key, flags, value in connection.values():
                n = int(key[1:])
                if versions.get(n) != flags or value != value_of(n, flags):
                    sys.exit(f"{key} of turn {flags} is wrong, wanted turn {versions.get(n)}")
                found[n] = value
            for n in range(start, start + 50):
                if (n in found) != (n in versions):
                    sys.exit(f"k{n} is {'there' if n in found else 'lost'}")
                sums.update(found.get(n, b""))
        print(f"turn {turn}: {len(versions)} keys, {sums.hexdigest()}")


main()
