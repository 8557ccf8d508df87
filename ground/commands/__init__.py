"""The commands, one module each: ``add`` describes its arguments, ``run`` carries it out. The composition root."""
