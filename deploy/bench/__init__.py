"""What the platform's figures are, measured against what the same machine does without the platform."""
