"""Files: read, matched, imported, watched for, and what is told of them."""
