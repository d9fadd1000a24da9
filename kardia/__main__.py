"""`python -m kardia` is `kardia`."""

from kardia.cli import main

if __name__ == "__main__":
    main()
