"""A store of texts for processes that are threads."""

import threading


class Texts:
    def __init__(self):
        self._texts = {}
        self._changed = threading.Condition()

    def put(self, name, text):
        with self._changed:
            self._texts[name] = text
            self._changed.notify_all()

    def get(self, name):
        return self._texts.get(name)

    def wait_for(self, name):
        with self._changed:
            assert self._changed.wait_for(lambda: name in self._texts, timeout=30)
            return self._texts[name]


def in_threads(number, what):
    """Returns what each of several threads returns, or raises, by its number."""
    results = [None] * number

    def run(rank):
        try:
            results[rank] = what(rank)
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
