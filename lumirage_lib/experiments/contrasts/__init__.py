"""Other contrasts: T2w, T2*w, FLAIR."""
