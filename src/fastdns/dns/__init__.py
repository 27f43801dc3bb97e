"""The Domain Name System's own: names, numbers, messages and their framing. Nothing here knows of the server."""
