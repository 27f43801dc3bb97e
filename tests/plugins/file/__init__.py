"""The plugin file: zone files, and what is answered from them."""
