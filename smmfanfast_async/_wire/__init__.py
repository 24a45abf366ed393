"""Values to bytes and back: `encode` builds forms, `transport` sends them, `decode` reads answers."""
