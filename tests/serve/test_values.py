"""Values by name: who provides them, who may read them, and how often they are computed."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.api import Runtime
from fastdns.plugins.values import value_of
from tests.serve import choosing as plugins
from tests.serve._choosing import FactValue
from tests.serve.served import Served

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("choosing")]

# The first block reads a value that three may take the query by, and says it.
COREFILE = """
org {
    gather GATHERED
    choose lan {
        value facts/client c0000207
    }
    facts {
        unread text
    }
    say it: facts/client 8
}
org {
    choose empty {
        value facts/client ""
    }
    say empty
}
org {
    say rest
}
"""


def corefile(gathered: str = "") -> str:
    return COREFILE.replace("GATHERED", gathered)


def test_a_filter_and_a_step_read_one_value() -> None:
    served = Served(corefile())
    assert served.ask("a.org.", client="192.0.2.7") == "it:c0000207"
    made = plugins.facts.made
    assert made[0, "facts/client"].computed == 1, "three reads, and it is computed once"
    assert (0, "facts/unread") not in made, "nobody reads it"
    served.ask("a.org.", client="192.0.2.8")
    assert made[0, "facts/client"].computed == 2, "each query computes it anew"


def test_what_nobody_provides_is_empty() -> None:
    served = Served(corefile())
    assert served.ask("a.org.", client="192.0.2.8") == "empty"


@pytest.mark.parametrize(
    ("gathered", "name", "says"),
    [
        ("b.org c.org", "x.b.org.", "it:c0000207"),
        ("b.org c.org", "c.org.", "it:c0000207"),
        ("b.org c.org", "d.org.", "empty"),
    ],
)
def test_only_for_names_of_the_zones_that_are_set(gathered: str, name: str, says: str) -> None:
    assert Served(corefile(gathered)).ask(name, client="192.0.2.7") == says


def test_without_the_setting_all_values_are_empty() -> None:
    served = Served(corefile().replace("    gather \n", ""))
    assert served.ask("a.org.", client="192.0.2.7") == "empty"


def test_an_empty_value_is_not_kept() -> None:
    """What a step below finds out can be read by the steps above it."""
    served = Served("org {\ngather\nfacts {\nkey \"\"\n}\nsay it facts/key 0\n}\n")
    assert served.ask("a.org.") == "it"
    assert plugins.facts.made[0, "facts/key"].computed == 2


def test_a_question_inside_a_query_has_values_of_its_own() -> None:
    served = Served("org {\ngather\nfacts\nask b.org\nsay it: facts/client 8\n}\n")
    assert served.ask("a.org.") == "it:c0000207"
    assert plugins.facts.made[0, "facts/client"].computed == 1


def test_the_value_of_a_block_is_one_object() -> None:
    config = load(corefile(), environ={})
    runtime = Runtime()
    one = value_of("facts/client", config.blocks[0], runtime)
    assert value_of("facts/client", config.blocks[0], runtime) is one
    assert isinstance(one.provided, FactValue)
    assert value_of("facts/client", config.blocks[1], runtime).provided is None
    assert value_of("facts/other", config.blocks[0], runtime).provided is None


def test_a_value_that_is_computed_from_itself() -> None:
    config = load(corefile(), environ={})
    runtime = Runtime()
    with pytest.raises(FastdnsError, match=r"Corefile:2: the value facts/circle is computed from itself"):
        value_of("facts/circle", config.blocks[0], runtime)
    assert not runtime.values


@pytest.mark.parametrize("name", ["client", "/client", "facts/"])
def test_a_name_without_the_form(name: str) -> None:
    with pytest.raises(CorefileError, match=rf"Corefile:3 - .*'{name}' names no value; expected PLUGIN/NAME"):
        load(f"org {{\nchoose lan {{\nvalue {name} x\n}}\n}}\n", environ={})


def test_a_value_that_is_too_long_is_none() -> None:
    """1,024 bytes are the most."""
    block = 'org {\ngather\nfacts {\nkey LONG\n}\nchoose long {\nvalue facts/key ""\n}\nsay none\n}\n'
    assert Served(block.replace("LONG", "x" * 1024)).ask("a.org.") == "REFUSED"
    assert Served(block.replace("LONG", "x" * 1025)).ask("a.org.") == "none"
