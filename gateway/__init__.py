"""The gateway: HTTP outside, RPC inside. It keeps no state, decides no right and never stores a clear byte."""
