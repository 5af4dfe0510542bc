"""Every claim and its verdict."""
