# SPDX-License-Identifier: GPL-2.0-or-later
"""Work of several processes on what they were forked with, and on what they are sent."""
import collections
import hashlib
import json
import multiprocessing
import random
import zlib

ITEMS = 6000
TEXT = [random.Random(i).randbytes(400) * 4 for i in range(ITEMS)]
TREE = {i: {"name": f"item {i}", "parts": [i * k for k in range(12)]} for i in range(ITEMS)}


def digest(part):
    """Reads all that the parent made, and by counting references writes it too."""
    sums = hashlib.sha256()
    for i in range(part, ITEMS, 16):
        sums.update(zlib.decompress(zlib.compress(TEXT[i], 1)))
        sums.update(json.dumps(TREE[i], sort_keys=True).encode())
    return part, sums.hexdigest()


def grow(seed):
    """Makes something of its own, changes it, and sends it back."""
    rng, table = random.Random(seed), collections.defaultdict(list)
    for i in range(6000):
        table[rng.randrange(500)].append(rng.getrandbits(48))
        if i % 7 == 0:
            table.pop(rng.randrange(500), None)
    return seed, {key: sum(values) for key, values in sorted(table.items())}


def echo(inbox, outbox):
    while (item := inbox.get()) is not None:
        outbox.put((item[0], item[1][::-1]))


def main():
    with multiprocessing.Pool(3) as pool:
        first = pool.map(digest, range(16))
        tables = pool.map(grow, range(8))
        # What they hold was changed since they were forked: not for them.
        for i in range(0, ITEMS, 3):
            TEXT[i] = TEXT[i][::-1]
        assert pool.map(digest, range(16)) == first, "a child's memory has changed"
    for part, hexdigest in first:
        print(part, hexdigest)
    print(hashlib.sha256(repr(tables).encode()).hexdigest())
    print(hashlib.sha256(b"".join(TEXT)).hexdigest())

    inbox, outbox = multiprocessing.Queue(), multiprocessing.Queue()
    workers = [multiprocessing.Process(target=echo, args=(inbox, outbox)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for i in range(0, ITEMS, 4):
        inbox.put((i, TEXT[i]))
    for _ in range(0, ITEMS, 4):
        i, text = outbox.get()
        assert text == TEXT[i][::-1], f"item {i} came back changed"
    for worker in workers:
        inbox.put(None)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    print("done")


main()
