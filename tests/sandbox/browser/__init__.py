"""The console in a real browser, in an environment of its own."""
