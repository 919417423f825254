"""Small servers: the only place with fastapi (extra ``[serve]``)."""
