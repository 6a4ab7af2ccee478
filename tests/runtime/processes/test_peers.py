from diamond.runtime.failures import EnvironmentProblem, RunFailed
from diamond.runtime.processes.peers import Joined
from tests.runtime.processes.stores import Texts, in_threads

NUMBER = 3


def together(what):
    store = Texts()
    return in_threads(NUMBER, lambda rank: what(Joined(store, rank, NUMBER)))


def test_all_get_the_values_of_all_in_the_order_of_ranks():
    def twice(peers):
        return peers.gather(peers.rank), peers.gather([peers.rank, None])

    expected = ([0, 1, 2], [[0, None], [1, None], [2, None]])
    assert together(twice) == [expected] * NUMBER


def test_the_first_one_leads():
    called = []

    def lead(peers):
        return peers.led(lambda: called.append(peers.rank) or 7)

    assert together(lead) == [7] * NUMBER
    assert called == [0]


def test_a_failure_of_the_first_one_is_that_of_all():
    def fail(peers):
        def refuse():
            raise EnvironmentProblem("in use")

        peers.led(refuse)

    results = together(fail)
    assert [str(each) for each in results] == ["in use"] * NUMBER
    assert {type(each) for each in results} == {EnvironmentProblem}


def test_an_error_of_the_first_one_fails_the_others():
    results = together(lambda peers: peers.led(lambda: [][1]))
    assert [type(each) for each in results] == [IndexError, RunFailed, RunFailed]
