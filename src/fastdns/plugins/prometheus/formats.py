"""The formats in which metrics are told."""

TEXT = "text"
OPENMETRICS = "openmetrics"
