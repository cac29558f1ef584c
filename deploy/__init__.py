"""How OpenDSP is run: on one machine (`local`), as an image, on a cluster, and the broker's topology."""
