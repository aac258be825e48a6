"""`python -m asr_gate` is the `asr` command."""

from asr_gate.cli.main import main

if __name__ == "__main__":
    main()
