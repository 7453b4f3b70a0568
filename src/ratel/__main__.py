"""The command `ratel`."""

from ratel.cli import main

if __name__ == "__main__":
    main()
