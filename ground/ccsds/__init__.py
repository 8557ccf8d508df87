"""Transfer frames, space packets and time codes, over blocks of many frames at once."""
