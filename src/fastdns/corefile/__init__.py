"""The Corefile: text to frozen configuration. ``docs/reference/corefile.md`` describes the language."""

from fastdns.corefile.config import default_config, load, load_file
from fastdns.corefile.model import Listener, ServerBlock, ServerConfig

__all__ = ["Listener", "ServerBlock", "ServerConfig", "default_config", "load", "load_file"]
