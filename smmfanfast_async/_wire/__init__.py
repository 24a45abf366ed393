"""Values to bytes and back: `encode` forms, `transport` sends them, `decode` parses responses."""
