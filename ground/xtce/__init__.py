"""XTCE definitions, and packets decoded by them into Arrow record batches."""
