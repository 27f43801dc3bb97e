"""What is counted and measured, as metric families: read and summed when they are asked for."""
