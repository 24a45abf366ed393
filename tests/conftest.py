"""What all tests share: the tool that runs pytest inside a test."""

# Only the conftest at the top may name plugins.
pytest_plugins = ["pytester"]
