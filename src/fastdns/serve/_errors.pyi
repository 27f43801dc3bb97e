ERROR_TEXTS: dict[int, str]
