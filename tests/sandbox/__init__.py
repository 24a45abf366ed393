"""The sandbox, one test module per module."""
