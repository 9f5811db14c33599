"""``python -m bifrost`` is ``bifrost``."""

from bifrost.cli import main

if __name__ == "__main__":
    main(prog_name="bifrost")
