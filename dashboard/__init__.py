"""The web dashboard: a FastAPI back end, and a TypeScript front end in ``web/``."""
