"""What tests of several transports begin with."""

from __future__ import annotations

import pytest

from tests.plugins.forward.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """It has issued the certificate ``server``."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.issue("server", ("dns.example",))
    return authority
