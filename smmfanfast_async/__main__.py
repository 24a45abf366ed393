"""`python -m smmfanfast_async` is `smmfanfast`."""

from .cli import main

if __name__ == "__main__":
    main()
