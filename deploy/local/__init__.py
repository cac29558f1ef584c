"""The one-command stack: every part of the platform on one machine, private, on loopback only."""
